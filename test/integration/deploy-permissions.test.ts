/**
 * The roles of deploy/: through all that operator, webhook and the rest do nothing is forbidden to them, and without any single right something would
 * be. Each scenario runs with exactly the manifests of its components and the variables that these set.
 */
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createAuthority } from '../../src/cache/tls/authority.ts';
import { createAgent, type KubeObject, sendRequest } from '../kubernetes/api-request.ts';
import { agentNode } from '../support/agent-node.ts';
import { startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { helmTemplate } from '../support/helm.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import { fakeNodes, type Live, pathsOf, restoreSetOf } from '../support/operator-world.ts';
import {
  boundClaim,
  cachePod,
  claimOf,
  imageMap,
  imageMapPath,
  imageswapMap,
  oldAuthority,
  restoringSet,
} from '../support/permissions/objects.ts';
import { PermissionWorld } from '../support/permissions/permission-world.ts';
import { pod, reviewOf } from '../support/reviews.ts';
import { removeFolder, startWebhook } from '../support/webhook-process.ts';

const operator = 'registry-mirror-operator';
const timeout = 60_000;
const core = '/api/v1/namespaces/default';
const admission = '/apis/admissionregistration.k8s.io/v1';
const taint = { key: 'example.com/not-wired', effect: 'NoSchedule' };
const agents = '/apis/apps/v1/namespaces/default/daemonsets/registry-mirror-nodes';

/** Rights that no scenario here can make anybody use. */
const exceptions = [
  // Only when two replicas make the authority in the same moment.
  'default/registry-mirror-operator: Role registry-mirror-operator: get secrets registry-mirror-ca',
  // mirror-hostess is somebody else's program; that it gets, lists and watches Services is read from its source.
  ...['get', 'list', 'watch'].map((verb) => `default/mirror-hostess: Role mirror-hostess: ${verb} services`),
];

let rights: PermissionWorld;
const get = (path: string) => rights.world.get(path);
const find = (path: string) => rights.world.find(path);
const gone = (path: string) =>
  eventually(async () => assert.equal(await find(path), undefined, path), { timeout });
const there = (path: string) => eventually(() => get(path), { timeout });

test.before(async () => {
  rights = await PermissionWorld.start();
  for (const crd of ['imagemaps.mapper.imagerelocation.pivotal.io', 'rewriterules.k8s.osp.tech'])
    await rights.plane.applyCrd(`crds/${crd}.yaml`);
  await rights.plane.applyCrd('test/integration/fixtures/cert-manager-crds.yaml');
  await rights.plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } });
  await rights.plane.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'foreign', namespace: 'team' },
  });
});
test.after.always(() => rights?.end());

test.serial('hostess: a mirror that wires a node, grows, and is taken back', async (t) => {
  const environment = { ...(await use(['hostess'])), CA_CERTIFICATE_BUNDLE: 'authorities' };
  await oldAuthority(rights.world);
  const node = agentNode(t, rights.world);
  const spec = {
    upstreamUrl: 'quay.io',
    credentialsSecret: 'missing',
    priorityClass: 'missing',
    upstreamCA: { name: 'authorities', key: 'ca.crt' },
    volumeClaimTemplate: claimOf('20Gi'),
    nodes: { startupTaint: taint.key },
  };
  await rights.running(t, operator, { ...environment, NODE_PORTS: '28500-28550' }, async () => {
    await rights.plane.apply({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'node-1' },
      spec: { taints: [taint] },
    } as Live);
    await mirror(spec);
    await rights.world.condition('hub', 'Stalled', 'PriorityClassNotFound');
    await mirror({ ...spec, priorityClass: undefined });
    await eventually(async () => assert.notEqual((await rights.world.warnings('hub')).length, 0), {
      timeout,
    });
    await eventually(
      async () =>
        assert.ok(!JSON.stringify((await get('/api/v1/nodes/node-1')).spec.taints).includes(taint.key)),
      { timeout },
    );
    await boundClaim(rights.world);
    await mirror({ ...spec, priorityClass: undefined, replicas: 3, volumeClaimTemplate: claimOf('30Gi') });
    await eventually(
      async () => {
        const { spec: claim } = await get(`${core}/persistentvolumeclaims/image-store-registry-mirror-hub-0`);
        assert.equal(claim.resources.requests.storage, '30Gi');
      },
      { timeout },
    );
    t.regex(node.hosts(), /mirror-quay\.io/);
    await rights.world.delete(pathsOf('hub').mirror);
    await gone(pathsOf('hub').mirror);
    await gone(pathsOf('hub').leafSecret);
    t.notRegex(node.hosts(), /mirror-quay\.io/);
  });
  rights.settle(t);
});

test.serial(
  'hostess with agents of each mirror: shared ones end, an authority is made, and everything goes',
  async (t) => {
    const environment = { ...(await use([])), NODE_DAEMONSETS: 'perMirror' };
    await rights.world.delete(`${core}/secrets/registry-mirror-ca`);
    fakeNodes(t, rights.world, 0);
    await rights.running(t, operator, environment, async () => {
      await gone(agents);
      await mirror({ upstreamUrl: 'quay.io' });
      await there(pathsOf('hub').daemonSet);
      await rights.world.delete(pathsOf('hub').mirror);
      await gone(pathsOf('hub').mirror);
      // What an operator may have left that was killed while it let a mirror go.
      await restoringSet(rights.world, 'ghost');
      await gone(restoreSetOf('ghost'));
    });
    rights.settle(t);
  },
);

test.serial('services with imageswap elsewhere: the map is there', async (t) => {
  const objects = (await helmTemplate({
    addressingScheme: 'services',
    imageswapNamespace: 'team',
  })) as Live[];
  await rights.use(objects.filter((object) => !JSON.stringify(object.metadata).includes('helm.sh/hook')));
  const environment = variablesIn(objects, operator);
  fakeNodes(t, rights.world, 0);
  await rights.running(t, operator, environment, async () => {
    await mirror({ upstreamUrl: 'quay.io' });
    const map = '/api/v1/namespaces/team/configmaps/imageswap-maps';
    await eventually(async () => assert.match((await get(map)).data.maps, /quay/), { timeout });
    await rights.world.patch(map, { data: { maps: 'mine' } });
    await eventually(async () => assert.match((await get(map)).data.maps, /quay/), { timeout });
    const KUBECONFIG = await rights.kubeconfig(operator);
    const probe = await startCommand(t, ['--map-check'], { ...environment, KUBECONFIG }).ended;
    t.is(probe.code, 0, probe.stderr);
    await rights.world.delete(pathsOf('hub').mirror);
    await gone(pathsOf('hub').mirror);
  });
  rights.settle(t);
});

test.serial('services: the map, its probe, and certificates of cert-manager', async (t) => {
  const environment = await use(['services', 'cert-manager']);
  for (const { kind, metadata, spec } of (await kustomizeBuild(['cert-manager'])) as Live[])
    if (kind === 'Issuer')
      await rights.plane.apply({ apiVersion: 'cert-manager.io/v1', kind, metadata, spec } as Live);
  fakeNodes(t, rights.world, 0);
  const certificate = '/apis/cert-manager.io/v1/namespaces/default/certificates/registry-mirror-hub';
  await rights.running(t, operator, environment, async () => {
    await mirror({ upstreamUrl: 'quay.io' });
    await there(certificate);
    await eventually(
      async () => assert.match((await get(`${core}/configmaps/imageswap-maps`)).data.maps, /quay/),
      { timeout },
    );
    const KUBECONFIG = await rights.kubeconfig(operator);
    const probe = await startCommand(t, ['--map-check'], { ...environment, KUBECONFIG }).ended;
    t.is(probe.code, 0, probe.stderr);
    await rights.world.delete(pathsOf('hub').mirror);
    await gone(pathsOf('hub').mirror);
    await gone(certificate);
  });
  rights.settle(t);
});

test.serial(
  'webhook: announced with either certificate and withdrawn; ImageMaps have a status',
  async (t) => {
    const environment = await use(['rewriting', 'webhook']);
    const configuration = `${admission}/mutatingwebhookconfigurations/registry-rewrite-webhook`;
    const service = (await kustomizeBuild(['rewriting', 'webhook'])).find(
      ({ kind }) => kind === 'Service',
    ) as KubeObject;
    await rights.plane.apply(service);
    await imageMap(rights.world, { finalizers: ['mapper.imagerelocation.pivotal.io'] });
    await rights.running(t, operator, environment, async () => {
      await there(configuration);
      await eventually(
        async () => {
          const { status, metadata } = await get(imageMapPath);
          assert.ok(status?.conditions?.length > 0);
          assert.equal(metadata.finalizers, undefined);
        },
        { timeout },
      );
      await rights.plane.apply({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'imageswap-maps', namespace: 'default' },
        data: { maps: 'nonsense' },
      } as Live);
      await eventually(
        async () => {
          const { items } = await get(`${core}/events`);
          assert.ok(items.some(({ reason }: Live) => reason === 'MapFault'));
        },
        { timeout },
      );
      await rights.world.patch(configuration, [
        { op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Fail' },
      ]);
      await eventually(
        async () => assert.equal((await get(configuration)).webhooks[0].failurePolicy, 'Ignore'),
        { timeout },
      );
    });
    await rights.world.delete(`${core}/services/${service.metadata.name}`);
    await rights.running(t, operator, { ...environment, WEBHOOK_CERTIFICATE: 'cert-manager' }, async () => {
      await gone(configuration);
      await there('/apis/cert-manager.io/v1/namespaces/default/certificates/registry-rewrite-webhook');
    });
    rights.settle(t);
  },
);

test.serial('policy: made, kept, and given up for the webhook', async (t) => {
  const environment = { ...(await use(['rewriting', 'policy'])), GILLY_REGISTRY: 'my.repo' };
  const policy = `${admission}/mutatingadmissionpolicies/registry-mirror-rewrite`;
  const bindings = `${admission}/mutatingadmissionpolicybindings`;
  const rules = '/apis/k8s.osp.tech/v1alpha1/namespaces/team/rewriterules/registry-mirror-rewrite';
  await imageMap(rights.world);
  await imageswapMap(rights.world, 'quay.io::swap.local');
  await rights.running(t, operator, environment, async () => {
    await there(policy);
    for (const name of ['namespaces', 'all', 'labelled'])
      await there(`${bindings}/registry-mirror-rewrite-${name}`);
    await eventually(async () => assert.ok((await get(rules)).status?.conditions), { timeout });
    await rights.world.patch(policy, { spec: { failurePolicy: 'Fail' } });
    await rights.world.delete(`${bindings}/registry-mirror-rewrite-all`).catch(() => undefined);
    await eventually(async () => assert.equal((await get(policy)).spec.failurePolicy, 'Ignore'), { timeout });
    await rights.world.delete(imageMapPath);
    await gone(rules);
  });
  await rights.running(t, operator, { ...environment, REWRITE_ENGINE: 'webhook' }, async () => {
    await gone(policy);
    await eventually(async () => assert.deepEqual((await get(bindings)).items, []), { timeout });
  });
  rights.settle(t);
});

for (const components of [
  ['rewriting', 'webhook'],
  ['services', 'rewriting', 'webhook'],
]) {
  test.serial(`the webhook’s process, with ${components.join(', ')}`, async (t) => {
    await use(components);
    const environment = await variablesOf(components, 'registry-rewrite-webhook');
    const folder = await folderOf(t);
    const authority = await createAuthority({ commonName: 'test', days: 1, now: new Date() });
    const kubeconfig = await rights.kubeconfig('registry-rewrite-webhook');
    const webhook = await startWebhook(folder, { kubeconfig, authority, environment });
    t.teardown(() => webhook.kill());
    await webhook.untilReady();
    // A namespace that its watch has not shown yet.
    await review(webhook.port, authority.certificatePem, 'nowhere');
    await webhook.stop();
    rights.settle(t);
  });
}

test.serial('the hooks of the chart', async (t) => {
  const hooks = (await helmTemplate()).filter(({ metadata }) =>
    metadata.name.startsWith('registry-mirror-uninstall'),
  );
  await rights.use(hooks);
  await mirror({ upstreamUrl: 'quay.io' });
  await rights.world.patch(pathsOf('hub').mirror, { metadata: { finalizers: null } });
  const KUBECONFIG = await rights.kubeconfig('registry-mirror-uninstall');
  for (const args of [[], ['--leftovers']]) {
    const { code, stderr } = await startCommand(t, ['uninstall', ...args], { KUBECONFIG }).ended;
    t.is(code, 0, stderr);
  }
  rights.settle(t);
});

test.serial('who purges caches', async (t) => {
  const account = { kind: 'ServiceAccount', name: 'cache-user', namespace: 'default' };
  const name = 'registry-mirror-cache-user';
  const bindings = ['ClusterRole', 'Role'].map((kind) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: `${kind}Binding`,
    metadata: { name, ...(kind === 'Role' && { namespace: 'default' }) },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects: [account],
  }));
  const roles = (await kustomizeBuild(['cache-users'])).filter(({ metadata }) => metadata.name === name);
  await rights.use([
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account.name, namespace: 'default' } },
    ...roles,
    ...bindings,
  ]);
  await mirror({ upstreamUrl: 'quay.io' });
  await cachePod(rights.world);
  const KUBECONFIG = await rights.kubeconfig(account.name);
  // No kubelet is there: that is all that goes wrong.
  const purged = await startCommand(t, ['purge', 'hub', 'nginx'], { KUBECONFIG }).ended;
  t.notRegex(purged.stdout + purged.stderr, /forbidden/i);
  const other = await startCommand(t, ['purge', 'other', 'nginx'], { KUBECONFIG }).ended;
  t.regex(other.stderr, /there are: hub/);
  rights.settle(t);
});

test.serial('another namespace’s Secret is refused to every account', async (t) => {
  await rights.use(
    await kustomizeBuild(['services', 'rewriting', 'webhook', 'foreign-hostess', 'cache-users']),
  );
  for (const account of [operator, 'registry-rewrite-webhook', 'mirror-hostess'])
    for (const path of [
      '/api/v1/namespaces/team/secrets/foreign',
      '/api/v1/namespaces/team/secrets',
      '/api/v1/secrets',
    ])
      await rights.refuses(account, path);
  t.pass();
});

test.serial('without any single right something above would have been refused', (t) => {
  const unused = [...rights.granted].filter((grant) => !rights.needed.has(grant));
  t.log(`${rights.granted.size} rights, ${exceptions.length} exceptions`);
  t.deepEqual(unused.sort(), exceptions.toSorted());
});

/** Makes the components' roles the only ones; returns the operator's variables. */
async function use(components: readonly string[]): Promise<Record<string, string>> {
  await rights.use(await kustomizeBuild(components));
  return variablesOf(components, operator);
}

async function variablesOf(
  components: readonly string[],
  deployment: string,
): Promise<Record<string, string>> {
  return variablesIn((await kustomizeBuild(components)) as Live[], deployment);
}

function variablesIn(objects: readonly Live[], deployment: string): Record<string, string> {
  const found = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === deployment);
  const { env } = found.spec.template.spec.containers[0];
  const given = env.filter(({ value }: Live) => value !== undefined);
  return Object.fromEntries(given.map(({ name, value }: Live) => [name, value]));
}

function mirror(spec: Record<string, unknown>): Promise<Live> {
  return rights.world.mirror('hub', spec);
}

async function folderOf(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'permissions-'));
  t.teardown(() => removeFolder(folder));
  return folder;
}

/** Has the webhook answer a review of a pod in a namespace. */
async function review(port: number, ca: string, namespace: string): Promise<void> {
  const body = reviewOf(pod({ app: 'nginx' }), { namespace });
  const agent = createAgent(ca);
  await sendRequest(agent, `https://127.0.0.1:${port}/rewrite`, { method: 'POST', body });
  await agent.destroy();
}
