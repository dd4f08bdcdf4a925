import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { load } from 'js-yaml';
import { eventually } from '../support/eventually.ts';
import { crdFile, type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';

let world: World;
test.before(async () => {
  world = await startWorld();
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

const base64 = (text: string) => Buffer.from(text).toString('base64');

function secret(name: string, data: Record<string, string>, labels: Record<string, string> = {}) {
  return world.plane.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'default', labels },
    data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, base64(text)])),
  } as Live);
}

const secretPath = (name: string) => `/api/v1/namespaces/default/secrets/${name}`;

async function mountedCredentials(name: string): Promise<string | undefined> {
  const { volumes } = (await world.get(pathsOf(name).statefulSet)).spec.template.spec;
  return volumes.find((volume: Live) => volume.name.startsWith('credentials'))?.secret.secretName;
}

test.serial('A stored mirror that is older than the schema is stalled and harms no other', async (t) => {
  const crd = load(await readFile(crdFile, 'utf8')) as Live;
  const loose = structuredClone(crd);
  loose.spec.versions[0].schema.openAPIV3Schema = {
    type: 'object',
    'x-kubernetes-preserve-unknown-fields': true,
  };
  await world.plane.apply(loose);
  await eventually(() => world.mirror('bad', { upstreamUrl: 'a b; }', unknown: true }));
  await world.plane.adminFetch(`${pathsOf('bad').mirror}/status?fieldManager=registry-mirror-operator`, {
    method: 'PATCH',
    contentType: 'application/apply-patch+yaml',
    body: {
      apiVersion: 'k8s.osp.tech/v1',
      kind: 'RegistryMirror',
      metadata: { name: 'bad' },
      status: { address: '10.0.0.77', clusterIPs: ['10.0.0.77'] },
    },
  } as Live);
  await world.plane.apply(crd);
  world.start();
  await world.mirror('good', { upstreamUrl: 'good.example' });
  await world.settled('good');

  const { message } = await world.condition('bad', 'Stalled', 'InvalidSpec');
  t.regex(message, /spec\.upstreamUrl/);
  t.is((await world.condition('bad', 'Ready', 'InvalidSpec')).status, 'False');
  t.is(await world.find(pathsOf('bad').service), undefined);
  const { status } = await world.get(pathsOf('bad').mirror);
  t.like(status, { address: '10.0.0.77', clusterIPs: ['10.0.0.77'] }, 'the last known address is kept');
  t.true((await world.warnings('bad')).some(({ reason }) => reason === 'InvalidSpec'));
  await world.delete(pathsOf('bad').mirror);
});

test.serial(
  'Credentials that are missing or unusable are said, and never replace those that work',
  async (t) => {
    const operator = world.start();
    await world.mirror('cred', {
      upstreamUrl: 'cred.example',
      credentialsSecret: 'cred-one',
      access: 'shared',
    });
    const missing = await world.condition('cred', 'CredentialsValid', 'SecretNotFound');
    t.regex(missing.message, /default\/cred-one does not exist/);
    t.is((await world.condition('cred', 'Ready', 'SecretNotFound')).status, 'False');
    t.is(await mountedCredentials('cred'), 'cred-one');
    const { uid, generation } = (await world.get(pathsOf('cred').statefulSet)).metadata;

    await secret('cred-one', { username: 'user', password: 'hunter2-secret-value' });
    await world.condition('cred', 'CredentialsValid', 'Valid');
    await world.delete(secretPath('cred-one'));
    const lost = await world.condition('cred', 'CredentialsValid', 'SecretNotFound');
    t.regex(lost.message, /last working configuration/);
    await secret('cred-one', { username: 'user', password: 'hunter2-secret-value' });
    await world.condition('cred', 'CredentialsValid', 'Valid');
    t.like(
      (await world.get(pathsOf('cred').statefulSet)).metadata,
      { uid, generation },
      'pods are left alone',
    );

    await secret('cred-two', { user: 'x' });
    await world.patch(pathsOf('cred').mirror, { spec: { credentialsSecret: 'cred-two' } });
    await world.condition('cred', 'CredentialsValid', 'SecretWithoutCredentials');
    t.is(await mountedCredentials('cred'), 'cred-one');
    await secret('cred-two', { token: 'hunter2-secret-value' });
    await world.condition('cred', 'CredentialsValid', 'Valid');
    await eventually(async () => assert.equal(await mountedCredentials('cred'), 'cred-two'));

    const told = JSON.stringify([await world.get(pathsOf('cred').mirror), await world.warnings('cred')]);
    for (const text of [operator.log(), told]) {
      t.false(text.includes('hunter2-secret-value'));
      t.false(text.includes(base64('hunter2-secret-value')));
    }
    const config = await world.get(pathsOf('cred').configSecret);
    t.false(Buffer.from(JSON.stringify(config.data), 'base64').toString().includes('hunter2'));
  },
);

test.serial(
  'A policy that refuses our finalizer is no missing permission: the mirror is not wired without it',
  async (t) => {
    const policy = {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: ['k8s.osp.tech'],
            apiVersions: ['v1'],
            operations: ['UPDATE'],
            resources: ['registrymirrors'],
            resourceNames: ['guarded'],
          },
        ],
      },
      validations: [{ expression: 'false', reason: 'Forbidden', message: 'hands off' }],
    };
    const of = (kind: string, spec: object) =>
      ({ apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata: { name: 'guard' }, spec }) as Live;
    await world.plane.apply(of('ValidatingAdmissionPolicy', policy));
    await world.plane.apply(
      of('ValidatingAdmissionPolicyBinding', { policyName: 'guard', validationActions: ['Deny'] }),
    );
    await world.mirror('guarded', { upstreamUrl: 'guarded.example' });
    // Until the policy is in force.
    await eventually(async () => {
      const error = await world
        .patch(pathsOf('guarded').mirror, { metadata: { labels: { a: 'b' } } })
        .catch(String);
      assert.match(String(error), /hands off/);
    });
    world.start();
    t.regex((await world.condition('guarded', 'Stalled', 'ObjectForbidden')).message, /hands off/);
    t.is(await world.find(pathsOf('guarded').daemonSet), undefined);
    for (const kind of ['validatingadmissionpolicybindings', 'validatingadmissionpolicies'])
      await world.delete(`/apis/admissionregistration.k8s.io/v1/${kind}/guard`);
    await eventually(() => world.get(pathsOf('guarded').daemonSet));
    t.truthy((await world.get(pathsOf('guarded').mirror)).metadata.finalizers);
  },
);

test.serial(
  'A field that Kubernetes does not know is named, also where the mirror served before',
  async (t) => {
    const upstreamUrl = 'typo.example';
    const specs: Record<string, [spec: object, path: RegExp]> = {
      claim: [{ volumeClaimTemplate: { spec: { storageclassName: 'x' } } }, /\.storageclassName: /],
      selector: [{ volumeClaimTemplate: { spec: { selector: 'x' } } }, /\.selector: expected map/],
      affinity: [{ affinity: { nodeAffinity: { typo: 1 } } }, /\.affinity\.nodeAffinity\.typo: /],
      nodes: [{ nodes: { affinity: { typo: {} } } }, /DaemonSet .*\.affinity\.typo: /],
    };
    world.start();
    await world.mirror('typo', { upstreamUrl });
    await world.settled('typo');
    for (const [name, [spec]] of Object.entries(specs)) {
      await world.mirror(`typo-${name}`, { upstreamUrl: `${name}.example`, ...spec });
    }
    await world.patch(pathsOf('typo').mirror, { spec: specs['affinity']?.[0] });
    const all = { ...specs, '': specs['affinity'] as (typeof specs)[string] };
    for (const [name, [, path]] of Object.entries(all)) {
      const mirror = name === '' ? 'typo' : `typo-${name}`;
      t.regex((await world.condition(mirror, 'Stalled', 'ObjectRefused')).message, path);
      await world.settled(mirror);
      t.true((await world.warnings(mirror)).some(({ reason }) => reason === 'ObjectRefused'));
    }
  },
);

test.serial(
  'What fails for long for no reason of the mirror is said with its cause, until it works',
  async (t) => {
    const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/away.example';
    await world.plane.apply({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'away.example' },
      webhooks: [
        {
          name: 'away.example.com',
          clientConfig: { url: 'https://127.0.0.1:1/' },
          rules: [
            { apiGroups: ['apps'], apiVersions: ['v1'], resources: ['statefulsets'], operations: ['*'] },
          ],
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
        },
      ],
    } as Live);
    t.teardown(() => world.delete(path).catch(() => undefined));
    const operator = world.start();
    await world.mirror('webhook', { upstreamUrl: 'webhook.example' });
    const { message } = await world.condition('webhook', 'Stalled', 'ReconcileFailed');
    t.regex(message, /away\.example\.com.*; it is tried again$/s);
    t.is((await world.condition('webhook', 'Ready', 'ReconcileFailed')).status, 'False');
    t.true((await world.warnings('webhook')).some(({ reason }) => reason === 'ReconcileFailed'));
    t.regex(operator.log(), /Could not reconcile; trying again/);

    await world.delete(path);
    await world.patch(pathsOf('webhook').mirror, { spec: { replicas: 1 } });
    await world.condition('webhook', 'Stalled', 'Working');
  },
);

test.serial('With REQUIRE_CREDENTIALS_LABEL a Secret without the label is not mounted', async (t) => {
  await secret('unlabelled', { username: 'u', password: 'p' });
  world.start({ REQUIRE_CREDENTIALS_LABEL: 'true' });
  await world.mirror('label', {
    upstreamUrl: 'label.example',
    credentialsSecret: 'unlabelled',
    access: 'shared',
  });
  await world.condition('label', 'CredentialsValid', 'SecretNotLabelled');
  t.is(await mountedCredentials('label'), undefined);
  await secret('unlabelled', { username: 'u', password: 'p' }, { 'k8s.osp.tech/mirror-credentials': 'true' });
  await world.condition('label', 'CredentialsValid', 'Valid');
  await eventually(async () => assert.equal(await mountedCredentials('label'), 'unlabelled'));

  await secret('unlabelled', { username: 'u', password: 'p' });
  await world.condition('label', 'CredentialsValid', 'SecretNotLabelled');
  await eventually(async () => assert.equal(await mountedCredentials('label'), undefined));
  const told = async () =>
    (await world.warnings('label')).filter(({ reason }) => reason === 'SecretNotLabelled').length;
  await eventually(async () => assert.equal(await told(), 2), { message: 'it happened twice' });
});

test.serial(
  'A priority class that does not exist keeps workloads as they are, other objects are made',
  async (t) => {
    world.start();
    await world.mirror('prio', { upstreamUrl: 'prio.example', priorityClass: 'absent' });
    const { message } = await world.condition('prio', 'Stalled', 'PriorityClassNotFound');
    t.regex(message, /PriorityClass absent does not exist/);
    t.truthy(await world.find(pathsOf('prio').configSecret));
    t.is(await world.find(pathsOf('prio').statefulSet), undefined);
    await world.patch(pathsOf('prio').mirror, { spec: { priorityClass: 'system-cluster-critical' } });
    await world.condition('prio', 'Stalled', 'Working');
    t.is(
      (await world.get(pathsOf('prio').statefulSet)).spec.template.spec.priorityClassName,
      'system-cluster-critical',
    );
  },
);

test.serial('Of two mirrors with one name the older is in force until it goes', async (t) => {
  world.start();
  await world.mirror('elder', { upstreamUrl: 'one.example', masqueradeUrl: 'same.example' });
  await world.settled('elder');
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await world.mirror('alpha', { upstreamUrl: 'two.example', masqueradeUrl: 'same.example:5000' });
  const { message } = await world.condition('alpha', 'Stalled', 'MasqueradeConflict');
  t.regex(message, /RegistryMirror elder/);
  t.is(await world.find(pathsOf('alpha').service), undefined);
  t.is((await world.condition('elder', 'Stalled', 'Working')).status, 'False');

  await world.patch(pathsOf('elder').mirror, { spec: { masqueradeUrl: 'other.example' } });
  await world.condition('alpha', 'Stalled', 'Working');
  t.truthy(await world.find(pathsOf('alpha').service));

  await world.patch(pathsOf('elder').mirror, { spec: { masqueradeUrl: 'same.example' } });
  await world.condition('alpha', 'Stalled', 'MasqueradeConflict');
  const { env } = (await world.get(pathsOf('alpha').daemonSet)).spec.template.spec.containers[0];
  t.is(env.find(({ name }: Live) => name === 'NODE_AGENT_MODE').value, 'restore', 'its nodes are given back');
  t.is((await world.condition('alpha', 'NodesWired', 'Restoring')).status, 'False');
});

test.serial('Scheme services refuses a masquerade name with a port', async (t) => {
  world.start({ ADDRESSING_SCHEME: 'services' });
  await world.mirror('port', { upstreamUrl: 'port.example', masqueradeUrl: 'port.example:5000' });
  t.is((await world.condition('port', 'Stalled', 'MasqueradePort')).status, 'True');
  t.is(await world.find(pathsOf('port').service), undefined);
});

function claim(mirror: string, extra: Live = {}) {
  return world.plane.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: `image-store-registry-mirror-${mirror}-0`,
      namespace: 'default',
      labels: { app: 'docker-registry', mirror },
    },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '20Gi' } }, ...extra },
  } as Live);
}

test.serial('A claim that waits for a default StorageClass is named with its remedy', async (t) => {
  world.start();
  await world.mirror('pvc', { upstreamUrl: 'pvc.example' });
  await world.settled('pvc');
  await claim('pvc');
  const { message } = await world.condition('pvc', 'CacheAvailable', 'NoDefaultStorageClass');
  t.regex(message, /default StorageClass/);
  t.true((await world.warnings('pvc')).some(({ reason }) => reason === 'NoDefaultStorageClass'));
});

test.serial(
  'Claims grow where their class allows it; shrinking and other templates are refused',
  async (t) => {
    for (const [name, allowVolumeExpansion] of [
      ['elastic', true],
      ['rigid', false],
    ] as const) {
      await world.plane.apply({
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name },
        provisioner: 'test.example/none',
        allowVolumeExpansion,
      } as Live);
    }
    world.start();
    const spec = (storage: string, storageClassName: string) => ({
      upstreamUrl: 'grow.example',
      volumeClaimTemplate: { spec: { storageClassName, resources: { requests: { storage } } } },
    });
    for (const [name, storageClassName] of [
      ['grow', 'elastic'],
      ['stiff', 'rigid'],
    ] as const) {
      await world.mirror(name, { ...spec('20Gi', storageClassName), upstreamUrl: `${name}.example` });
      await world.settled(name);
      const made = await claim(name, { storageClassName });
      await bind(made);
      await world.patch(pathsOf(name).mirror, {
        spec: spec('30Gi', storageClassName).volumeClaimTemplate && {
          volumeClaimTemplate: spec('30Gi', storageClassName).volumeClaimTemplate,
        },
      });
    }
    const path = '/api/v1/namespaces/default/persistentvolumeclaims/image-store-registry-mirror-grow-0';
    await eventually(async () =>
      assert.equal((await world.get(path)).spec.resources.requests.storage, '30Gi'),
    );
    const refused = await world.condition('stiff', 'Stalled', 'StorageCannotGrow');
    t.regex(refused.message, /image-store-registry-mirror-stiff-0/);
    const set = await world.get(pathsOf('grow').statefulSet);
    t.is(set.spec.volumeClaimTemplates[0].spec.resources.requests.storage, '20Gi', 'the template stays');

    await world.patch(pathsOf('grow').mirror, {
      spec: { volumeClaimTemplate: spec('10Gi', 'rigid').volumeClaimTemplate },
    });
    const stalled = await world.condition('grow', 'Stalled', 'StorageCannotShrink');
    t.regex(stalled.message, /storageClassName/);
  },
);

/** Only bound claims can be expanded. */
async function bind(claimed: Live): Promise<void> {
  const { name } = claimed.metadata;
  const volume = `volume-${name}`;
  await world.plane.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: volume },
    spec: {
      capacity: { storage: '20Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: claimed.spec.storageClassName,
      hostPath: { path: '/nonexistent' },
      claimRef: {
        namespace: 'default',
        name,
        uid: claimed.metadata.uid,
        kind: 'PersistentVolumeClaim',
        apiVersion: 'v1',
      },
    },
  } as Live);
  const path = `/api/v1/namespaces/default/persistentvolumeclaims/${name}`;
  await world.patch(path, { spec: { volumeName: volume } });
  await world.patch(`${path}/status`, {
    status: { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '20Gi' } },
  });
}

test.serial('A missing CA bundle is said, holds nothing back, and is seen when it comes', async (t) => {
  const apply = (data: Record<string, string>) =>
    world.plane.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'corporate-ca', namespace: 'default' },
      data,
    } as Live);
  world.proxy.reset();
  world.start({ CA_CERTIFICATE_BUNDLE: 'corporate-ca' });
  await world.mirror('bundle', { upstreamUrl: 'bundle.example' });
  const missing = await world.condition('bundle', 'Stalled', 'CABundleNotFound');
  t.regex(missing.message, /default\/corporate-ca .* does not exist/);
  t.truthy(await world.find(pathsOf('bundle').daemonSet));
  const reads = world.proxy.requests.filter(({ path }) => path.includes('/configmaps'));
  t.deepEqual(reads.map(({ verb }) => verb).sort(), ['list', 'watch'], 'nothing else is read for it');
  await apply({ 'ca.crt': 'PEM' });
  await eventually(async () => {
    const { message } = await world.condition('bundle', 'Stalled', 'CABundleNotFound');
    assert.match(message, /has no key ca-certificates.crt/);
  });
  await apply({ 'ca-certificates.crt': 'PEM' });
  await world.condition('bundle', 'Stalled', 'Working');
});

test.serial('An authority Secret of another kind is not overwritten', async (t) => {
  const path = secretPath('registry-mirror-ca');
  const original = await world.get(path);
  await world.delete(path);
  await secret('registry-mirror-ca', { 'tls.crt': 'not a certificate' });
  world.start();
  await world.mirror('ca', { upstreamUrl: 'ca.example' });
  const { message } = await world.condition('ca', 'Stalled', 'AuthorityUnreadable');
  t.regex(message, /not overwritten/);
  t.is((await world.get(path)).data['tls.crt'], base64('not a certificate'));
  await world.delete(path);
  await world.condition('ca', 'Stalled', 'Working');
  const made = await world.get(path);
  t.not(made.data['tls.crt'], original.data['tls.crt']);
  const leaves = Buffer.from(made.data['previous.crt'], 'base64').toString();
  t.true(
    leaves.includes(Buffer.from(original.data['tls.crt'], 'base64').toString().trim()),
    'old leaves stay trusted',
  );
});
