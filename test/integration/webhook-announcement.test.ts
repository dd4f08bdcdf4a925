/** The operator announces the webhook to a real API server: certificate, trust, what is sent to it; and takes it all back. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import { createAuthority, issueLeaf } from '../../src/cache/tls/authority.ts';
import { inspectCertificate, signedBy } from '../../src/cache/tls/certificate.ts';
import { policyVersion } from '../kubernetes/policy-version.ts';
import { eventually } from '../support/eventually.ts';
import { type Live, startWorld, type World } from '../support/operator-world.ts';

const configurations = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const ours = `${configurations}/registry-rewrite-webhook`;
const secretPath = '/api/v1/namespaces/default/secrets/registry-rewrite-webhook-tls';
const caPath = '/api/v1/namespaces/default/secrets/registry-mirror-ca';
const bindings = `/apis/admissionregistration.k8s.io/${policyVersion}/mutatingadmissionpolicybindings`;
const lease = '/apis/coordination.k8s.io/v1/namespaces/default/leases/registry-mirror-operator';
const environment = { REWRITE_ENGINE: 'webhook' };
const byPolicy = { REWRITE_ENGINE: 'policy', GILLY_REGISTRY: 'my.repo' };

let world: World;
test.before(async () => {
  world = await startWorld();
  await world.plane.applyCrd('crds/imagemaps.mapper.imagerelocation.pivotal.io.yaml');
  await world.plane.applyCrd('crds/rewriterules.k8s.osp.tech.yaml');
  await world.plane.applyCrd('test/integration/fixtures/cert-manager-crds.yaml');
  await world.plane.applyFile('deploy/components/rewriting/rbac.yaml');
  await service();
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

function service() {
  const spec = { ports: [{ port: 443 }] };
  const metadata = { name: 'registry-rewrite-webhook', namespace: 'default' };
  return world.plane.apply({ apiVersion: 'v1', kind: 'Service', metadata, spec } as Live);
}

/** Waits until the configuration is as `check` wants it. */
function announced(check: (configuration: Live) => boolean, path = ours): Promise<Live> {
  return eventually(async () => {
    const configuration = await world.get(path);
    if (!check(configuration)) throw new Error(JSON.stringify(configuration).slice(0, 2_000));
    return configuration;
  });
}

const bundleOf = (configuration: Live) =>
  Buffer.from(configuration.webhooks[0].clientConfig.caBundle, 'base64').toString();

async function file(path: string, key: string): Promise<string> {
  return Buffer.from((await world.get(path)).data?.[key] ?? '', 'base64').toString();
}

test.serial('the webhook is announced with a certificate that the named authority signed', async (t) => {
  world.start({ ...environment, WEBHOOK_FAILURE_POLICY: 'Fail', WEBHOOK_WORKLOADS: 'true' });
  const configuration = await announced(() => true);
  const [pods, critical, workloads] = configuration.webhooks;
  t.is(configuration.webhooks.length, 3);
  t.like(critical, { failurePolicy: 'Ignore', rules: pods.rules });
  t.like(pods, {
    failurePolicy: 'Fail',
    sideEffects: 'None',
    timeoutSeconds: 5,
    reinvocationPolicy: 'IfNeeded',
  });
  t.deepEqual(
    pods.rules.map(({ resources }: Live) => resources),
    [['pods'], ['pods/ephemeralcontainers']],
  );
  t.true(workloads.rules.some(({ resources }: Live) => resources.includes('cronjobs')));
  t.is(configuration.metadata.ownerReferences[0].name, 'registry-mirror-rewriting');
  const [certificate, authority] = [await file(secretPath, 'tls.crt'), await file(caPath, 'tls.crt')];
  t.true(signedBy(certificate, authority));
  t.true(inspectCertificate(certificate).names.includes('registry-rewrite-webhook.default.svc'));
  t.is(bundleOf(configuration), authority);
});

test.serial('at rest nothing is written, and what somebody changes or deletes is put back', async (t) => {
  world.start(environment);
  await announced(({ webhooks }) => webhooks[0].failurePolicy === 'Ignore' && webhooks.length === 1);
  await world.quiet();
  world.proxy.reset();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  t.deepEqual(world.proxy.writes(), []);
  await world.patch(ours, [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Fail' }]);
  await announced(({ webhooks }) => webhooks[0].failurePolicy === 'Ignore');
  const { uid } = (await world.get(ours)).metadata;
  await world.delete(ours);
  await announced(({ metadata }) => metadata.uid !== uid);
  await world.delete(secretPath);
  await eventually(async () => {
    if ((await file(secretPath, 'tls.key')) === '') throw new Error('no key yet');
  });
  t.pass();
});

test.serial(
  'with Fail and nobody who answers, pods that nodes need are made, and those that run are let go',
  async (t) => {
    const pods = '/api/v1/namespaces/default/pods';
    const make = (name: string, more: object = {}, annotations: object = {}) =>
      world.plane.adminFetch(pods, {
        method: 'POST',
        body: {
          metadata: { name, annotations },
          spec: { containers: [{ name: 'c', image: 'nginx' }], ...more },
        },
      });
    const patch = (body: object) =>
      world.plane.adminFetch(`${pods}/running`, {
        method: 'PATCH',
        contentType: 'application/strategic-merge-patch+json',
        body,
      });
    await make('running');
    world.start({ ...environment, WEBHOOK_FAILURE_POLICY: 'Fail' });
    await announced(({ webhooks }) => webhooks[0].failurePolicy === 'Fail');

    await eventually(async () => {
      await t.throwsAsync(make(`refused-${performance.now()}`.replace('.', '-')), {
        message: /failed calling webhook/,
      });
    });
    await t.notThrowsAsync(make('network', { priorityClassName: 'system-node-critical' }));
    await t.notThrowsAsync(make('static', { nodeName: 'node-1' }, { 'kubernetes.io/config.mirror': 'hash' }));
    await t.notThrowsAsync(patch({ metadata: { labels: { a: 'b' }, finalizers: ['test.example/held'] } }));
    await t.notThrowsAsync(patch({ metadata: { finalizers: null } }));
    const other = { spec: { containers: [{ name: 'c', image: 'redis' }] } };
    await t.throwsAsync(patch(other), { message: /failed calling webhook/ });
    for (const name of ['running', 'network', 'static']) await world.delete(`${pods}/${name}`);
  },
);

test.serial(
  'namespaces that a managed cluster keeps from webhooks stay so, and nobody fights about it',
  async (t) => {
    world.start(environment);
    const configuration = await announced(({ webhooks }) => webhooks[0].failurePolicy === 'Ignore');
    await world.quiet();
    const expressions = [
      { key: 'control-plane', operator: 'NotIn', values: ['true'] },
      { key: 'kubernetes.azure.com/managedby', operator: 'NotIn', values: ['aks'] },
    ];
    const foreign = { key: 'only', operator: 'In', values: ['there'] };
    const [{ namespaceSelector }] = configuration.webhooks;
    const changed = [...namespaceSelector.matchExpressions, ...expressions, foreign];
    await world.plane.adminFetch(ours, {
      method: 'PATCH',
      contentType: 'application/json-patch+json',
      body: [{ op: 'replace', path: '/webhooks/0/namespaceSelector/matchExpressions', value: changed }],
    });
    const selected = [...namespaceSelector.matchExpressions, ...expressions];
    await announced(({ webhooks }) =>
      isDeepStrictEqual(webhooks[0].namespaceSelector.matchExpressions, selected),
    );
    await world.quiet();
    t.deepEqual((await world.get(ours)).webhooks[0].namespaceSelector.matchExpressions, selected);
    await world.delete(ours);
    await announced(({ webhooks }) => webhooks[0].namespaceSelector.matchExpressions.length === 2);
  },
);

test.serial(
  'a controller that undoes each write of ours is written against ten times a minute at most',
  async (t) => {
    world.start(environment);
    await announced(() => true);
    await world.quiet();
    const undo = () =>
      world.plane.adminFetch(ours, {
        method: 'PATCH',
        contentType: 'application/json-patch+json',
        body: [{ op: 'replace', path: '/webhooks/0/timeoutSeconds', value: 9 }],
      });
    for (let time = 0; time < 10; time += 1) {
      await undo();
      await announced(({ webhooks }) => webhooks[0].timeoutSeconds === 5);
    }
    await undo();
    await eventually(() => assert.match(world.lastWords(), /somebody undoes each write of ours/));
    t.is((await world.get(ours)).webhooks[0].timeoutSeconds, 9);
    await world.delete(ours);
    await announced(({ webhooks }) => webhooks[0].timeoutSeconds === 5);
  },
);

test.serial('without the webhook’s Service it is not announced, and a word in the log says so', async (t) => {
  await world.delete('/api/v1/namespaces/default/services/registry-rewrite-webhook');
  const operator = world.start(environment);
  await eventually(async () => {
    if ((await world.find(ours)) !== undefined) throw new Error('still announced');
  });
  t.regex(operator.log(), /The webhook is not installed/);
  await service();
});

test.serial('rules that cannot be read are told of once, however often they are looked for', async (t) => {
  const operator = world.start({ ...environment, IMAGESWAP_MAPS_FILE: '/' });
  await eventually(async () => {
    if (!/Could not read the imageswap map/.test(operator.log())) throw new Error('not told');
  });
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  t.is(operator.log().match(/Could not read the imageswap map/g)?.length, 1);
  t.is(operator.log().match(/The rules are not read yet/g), null);
});

test.serial('a Secret of the user’s: its authority is announced, and a new one follows', async (t) => {
  const put = async () => {
    const authority = await createAuthority({ commonName: 'user', days: 30, now: new Date() });
    const pair = await issueLeaf(authority, {
      commonName: 'webhook',
      usages: ['serverAuth'],
      names: ['registry-rewrite-webhook.default.svc'],
      days: 10,
      now: new Date(),
    });
    await world.plane.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'given', namespace: 'default' },
      stringData: {
        'cert.pem': pair.certificatePem,
        'key.pem': pair.keyPem,
        'rootca.pem': authority.certificatePem,
      },
    } as Live);
    return authority.certificatePem;
  };
  const first = await put();
  world.start({ ...environment, WEBHOOK_CERTIFICATE: 'secret', WEBHOOK_CERTIFICATE_SECRET: 'given' });
  await announced((configuration) => bundleOf(configuration) === first);
  const second = await put();
  await announced((configuration) => bundleOf(configuration) === second + first);
  t.pass();
});

test.serial(
  'cert-manager is asked for the certificate, and its authority announced once it is there',
  async (t) => {
    await world.delete(secretPath).catch(() => undefined);
    // What was announced before would stay so for a while.
    await world.delete(ours).catch(() => undefined);
    world.start({
      ...environment,
      WEBHOOK_CERTIFICATE: 'cert-manager',
      WEBHOOK_ISSUER: 'ClusterIssuer/company',
    });
    const path = '/apis/cert-manager.io/v1/namespaces/default/certificates/registry-rewrite-webhook';
    const certificate = await eventually(() => world.get(path));
    t.deepEqual(certificate.spec.issuerRef, {
      group: 'cert-manager.io',
      kind: 'ClusterIssuer',
      name: 'company',
    });
    t.is(certificate.spec.secretName, 'registry-rewrite-webhook-tls');
    const authority = await createAuthority({ commonName: 'company', days: 30, now: new Date() });
    await world.plane.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'registry-rewrite-webhook-tls', namespace: 'default' },
      type: 'kubernetes.io/tls',
      stringData: {
        'tls.crt': authority.certificatePem,
        'tls.key': authority.keyPem,
        'ca.crt': authority.certificatePem,
      },
    } as Live);
    await announced((configuration) => bundleOf(configuration) === authority.certificatePem);
    // Its Certificate would have the pair of the operator's authority replaced again, for ever.
    await world.stopOperators();
    world.start(environment);
    await eventually(() => assert.rejects(world.get(path), /404/));
    await announced((configuration) => bundleOf(configuration) !== authority.certificatePem);
    await world.delete(secretPath);
  },
);

test.serial(
  'with no webhook there and Fail, what runs the webhook can be changed; other workloads cannot',
  async (t) => {
    const metadata = { name: 'elsewhere' };
    await world.plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata } as Live);
    world.start({ ...environment, WEBHOOK_FAILURE_POLICY: 'Fail', WEBHOOK_WORKLOADS: 'true' });
    await announced(({ webhooks }) => webhooks.length === 3 && webhooks[2].failurePolicy === 'Fail');
    await eventually(() =>
      assert.rejects(world.plane.apply(deploymentIn('elsewhere')), /failed calling webhook/),
    );
    await t.notThrowsAsync(world.plane.apply(deploymentIn('default')));
    await world.delete(ours);
  },
);

test.serial('a configuration of the user’s is told the authority and nothing else is changed', async (t) => {
  const theirs = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'imageswap-webhook' },
    webhooks: ['one', 'two'].map((name) => ({
      name: `${name}.webhook.k8s.twr.io`,
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      failurePolicy: 'Ignore',
      clientConfig: { service: { name: 'registry-rewrite-webhook', namespace: 'default', path: '/' } },
      objectSelector: { matchLabels: { never: 'ever' } },
    })),
  };
  await world.plane.apply(theirs as Live);
  world.start({ ...environment, WEBHOOK_INJECT_CA: 'imageswap-webhook', IMAGESWAP_DISABLE_AUTO_MWC: 'TRUE' });
  const authority = await file(caPath, 'tls.crt');
  const path = `${configurations}/imageswap-webhook`;
  const { webhooks } = await announced((configuration) => bundleOf(configuration) === authority, path);
  t.is(webhooks[1].clientConfig.caBundle, webhooks[0].clientConfig.caBundle);
  t.deepEqual(webhooks[0].objectSelector, { matchLabels: { never: 'ever' } });
  await eventually(async () => {
    if ((await world.find(ours)) !== undefined) throw new Error('ours is still announced');
  });
});

test.serial(
  'a Secret of another type, or one that nobody may change, in the place of ours is replaced',
  async (t) => {
    for (const fixed of [{ type: 'Opaque' }, { type: 'kubernetes.io/tls', immutable: true }]) {
      await world.stopOperators();
      await world.delete(secretPath);
      const data = { 'tls.crt': 'eA==', 'tls.key': 'eA==' };
      const metadata = { name: 'registry-rewrite-webhook-tls', namespace: 'default' };
      await world.plane.apply({ apiVersion: 'v1', kind: 'Secret', metadata, data, ...fixed } as Live);
      world.start(environment);
      await eventually(async () => {
        assert.ok(signedBy(await file(secretPath, 'tls.crt'), await file(caPath, 'tls.crt')));
      });
      t.is((await world.get(secretPath)).type, 'kubernetes.io/tls');
    }
  },
);

test.serial(
  'without a certificate for the webhook the policy is made for all namespaces but those that need it',
  async (t) => {
    await world.delete(ours).catch(() => undefined);
    await imageMap('odd', 'x'.repeat(1_010));
    await imageMap('team', 'nginx');
    world.start({
      ...byPolicy,
      WEBHOOK_CERTIFICATE: 'secret',
      WEBHOOK_CERTIFICATE_SECRET: 'absent',
    });
    await eventually(async () => {
      const { items } = await world.get(bindings);
      const names = items.map(({ spec }: Live) => spec.matchResources.namespaceSelector.matchExpressions[0]);
      assert.deepEqual(
        names.map(({ operator, values }: Live) => [operator, values]),
        [
          ['NotIn', ['kube-system', 'odd', 'team']],
          ['In', ['team']],
        ],
      );
    });
    t.is(await world.find(ours), undefined);
  },
);

test.serial('neither a restart nor a term of another leader changes what the webhook is sent', async (t) => {
  await world.delete(ours).catch(() => undefined);
  await imageMap('odd', 'x'.repeat(1_010));
  const first = world.start(byPolicy);
  await announced((configuration) => isFor(configuration, 'odd'));
  await world.quiet();
  await first.stop();
  const { generation } = (await world.get(ours)).metadata;
  const operator = world.start(byPolicy);
  await eventually(() => assert.match(operator.log(), /Decided who rewrites images/));
  await world.quiet();
  t.is((await world.get(ours)).metadata.generation, generation);
  await world.patch(lease, { spec: { holderIdentity: 'another' } });
  await eventually(() => assert.match(operator.log(), /Stopped leading/));
  const selector = '/webhooks/0/namespaceSelector/matchExpressions';
  const names = (await world.get(ours)).webhooks[0].namespaceSelector.matchExpressions;
  const at = names.findIndex(({ operator: how }: Live) => how === 'In');
  await world.patch(ours, [{ op: 'replace', path: `${selector}/${at}/values`, value: ['odd', 'team'] }]);
  await world.patch(lease, { spec: { holderIdentity: '' } });
  await eventually(() => assert.equal(operator.log().match(/Became the leader/g)?.length, 2));
  const began = performance.now();
  await announced((configuration) => isFor(configuration, 'odd'));
  t.true(performance.now() - began > 8_000, 'the API server had the time to follow the policy');
});

function isFor({ webhooks }: Live, namespace: string): boolean {
  return webhooks[0].namespaceSelector.matchExpressions.some(
    ({ operator, values }: Live) => operator === 'In' && String(values) === namespace,
  );
}

/** An ImageMap in a namespace that is made for it. */
async function imageMap(namespace: string, from: string): Promise<void> {
  await world.plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } } as Live);
  await world.plane.apply({
    apiVersion: 'mapper.imagerelocation.pivotal.io/v1alpha1',
    kind: 'ImageMap',
    metadata: { name: 'boot', namespace },
    spec: { map: [{ from, to: 'map.local/x' }] },
  } as Live);
}

function deploymentIn(namespace: string): Live {
  const labels = { app: 'runs-the-webhook' };
  const spec = { containers: [{ name: 'app', image: 'nginx' }] };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'runs-the-webhook', namespace },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  } as Live;
}
