/**
 * The roles of deploy/, of the operator and of all but rewriting (`deploy-permissions-rewriting.test.ts`): through all that they do nothing is forbidden
 * to the accounts, and no right is too much. Operators and commands run once in each scenario, with exactly the manifests of its components and the
 * variables that these set; an authorizer in front of RBAC records what they ask. Each right that alone allowed something is then taken from its role
 * and the API server asked whether that is refused now. To run everything anew without each of some hundred rights would take minutes and say the
 * same; of a few it is done, so that what then fails is seen.
 */
import assert from 'node:assert/strict';
import test from 'ava';
import { agentNode } from '../support/agent-node.ts';
import { startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { helmTemplate } from '../support/helm.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import { fakeNodes, type Live, pathsOf, restoreSetOf } from '../support/operator-world.ts';
import { deploymentVariables, shippedRights } from '../support/permissions/manifests.ts';
import {
  boundClaim,
  cachePod,
  cacheUser,
  claimOf,
  oldAuthority,
  restoringSet,
} from '../support/permissions/objects.ts';
import { operator, PermissionWorld } from '../support/permissions/permission-world.ts';

const timeout = 60_000;
const core = '/api/v1/namespaces/default';
const taint = { key: 'example.com/not-wired', effect: 'NoSchedule' };
const agents = '/apis/apps/v1/namespaces/default/daemonsets/registry-mirror-nodes';

/** Rights that no scenario here can make anybody use. */
const exceptions = [
  // Only when two replicas make the authority in the same moment.
  'Role registry-mirror-operator: get secrets registry-mirror-ca',
  // mirror-hostess is somebody else's program; that it gets, lists and watches Services is read from its source.
  ...['get', 'list', 'watch'].map((verb) => `Role mirror-hostess: ${verb} services`),
];

let rights: PermissionWorld;

test.before(async () => {
  rights = await PermissionWorld.start();
});
test.after.always(() => rights?.end());

test.serial('hostess: a mirror that wires a node, grows, and goes', async (t) => {
  const environment = {
    ...(await use(['hostess'])),
    CA_CERTIFICATE_BUNDLE: 'authorities',
    NODE_PORTS: '28500-28550',
  };
  await oldAuthority(rights.world);
  const node = agentNode(t, rights.world);
  const spec = {
    upstreamUrl: 'quay.io',
    credentialsSecret: 'missing',
    upstreamCA: { name: 'authorities', key: 'ca.crt' },
    volumeClaimTemplate: claimOf('20Gi'),
    nodes: { startupTaint: taint.key },
  };
  const tainted = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' }, spec: { taints: [taint] } };
  await rights.plane.apply(tainted as Live);
  await rights.running(t, operator, environment, async () => {
    await mirror({ ...spec, priorityClass: 'missing' });
    await rights.world.condition('hub', 'Stalled', 'PriorityClassNotFound');
    await mirror(spec);
    await eventually(async () => assert.notEqual((await rights.world.warnings('hub')).length, 0), {
      timeout,
    });
    await boundClaim(rights.world);
    await mirror({ ...spec, replicas: 3, volumeClaimTemplate: claimOf('30Gi') });
    await eventually(
      async () => {
        const { spec: claim } = await rights.get(
          `${core}/persistentvolumeclaims/image-store-registry-mirror-hub-0`,
        );
        assert.equal(claim.resources.requests.storage, '30Gi');
      },
      { timeout },
    );
    await eventually(() => assert.match(node.hosts(), /mirror-quay\.io/), { timeout });
  });
  // An operator asks agents as soon as it runs; those that come later it asks half a minute later.
  await rights.running(t, operator, environment, async () => {
    await eventually(
      async () => {
        assert.ok(
          !JSON.stringify((await rights.get('/api/v1/nodes/node-1')).spec.taints ?? []).includes(taint.key),
        );
        assert.equal((await rights.get(pathsOf('hub').mirror)).status.nodes, '1/1');
      },
      { timeout },
    );
  });
  await rights.world.delete(pathsOf('hub').mirror);
  await rights.running(t, operator, environment, async () => {
    await rights.gone(pathsOf('hub').mirror);
    t.notRegex(node.hosts(), /mirror-quay\.io/, 'it is let go when its nodes are as they were');
    await rights.gone(pathsOf('hub').leafSecret);
    await rights.gone(pathsOf('hub').disruptionBudget);
  });
  await rights.settle(t);
});

test.serial(
  'hostess with agents of each mirror: shared ones end, an authority is made, and everything goes',
  async (t) => {
    const environment = { ...(await use([])), NODE_DAEMONSETS: 'perMirror' };
    await rights.world.delete(`${core}/secrets/registry-mirror-ca`);
    fakeNodes(t, rights.world, 0);
    await rights.running(t, operator, environment, async () => {
      await rights.gone(agents);
      await mirror({ upstreamUrl: 'quay.io' });
      await rights.there(pathsOf('hub').daemonSet);
      await rights.world.delete(pathsOf('hub').mirror);
      await rights.gone(pathsOf('hub').mirror);
      // What an operator may have left that was killed while it let a mirror go.
      await restoringSet(rights.world, 'ghost');
      await rights.gone(restoreSetOf('ghost'));
    });
    await rights.settle(t);
  },
);

test.serial('services with imageswap elsewhere: the map is there', async (t) => {
  const objects = (await helmTemplate({
    addressingScheme: 'services',
    imageswapNamespace: 'team',
  })) as Live[];
  await rights.use(objects.filter((object) => !JSON.stringify(object.metadata).includes('helm.sh/hook')));
  const environment = deploymentVariables(objects, operator);
  fakeNodes(t, rights.world, 0);
  await rights.running(t, operator, environment, async () => {
    await mirror({ upstreamUrl: 'quay.io' });
    const map = '/api/v1/namespaces/team/configmaps/imageswap-maps';
    await eventually(async () => assert.match((await rights.get(map)).data.maps, /quay/), { timeout });
    await rights.world.patch(map, { data: { maps: 'mine' } });
    await eventually(async () => assert.match((await rights.get(map)).data.maps, /quay/), { timeout });
    const access = await rights.podAccess(operator);
    const probe = await startCommand(t, ['--map-check'], environment, access).ended;
    t.is(probe.code, 0, probe.stderr);
    await rights.world.delete(pathsOf('hub').mirror);
    await rights.gone(pathsOf('hub').mirror);
  });
  await rights.settle(t);
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
    await rights.there(certificate);
    await eventually(
      async () => assert.match((await rights.get(`${core}/configmaps/imageswap-maps`)).data.maps, /quay/),
      { timeout },
    );
    const access = await rights.podAccess(operator);
    const probe = await startCommand(t, ['--map-check'], environment, access).ended;
    t.is(probe.code, 0, probe.stderr);
    await rights.world.delete(pathsOf('hub').mirror);
    await rights.gone(pathsOf('hub').mirror);
    await rights.gone(certificate);
  });
  await rights.settle(t);
});

test.serial('the hooks of the chart', async (t) => {
  const hooks = (await helmTemplate()).filter(({ metadata }) =>
    metadata.name.startsWith('registry-mirror-uninstall'),
  );
  await rights.use(hooks);
  await mirror({ upstreamUrl: 'quay.io' });
  await rights.world.patch(pathsOf('hub').mirror, { metadata: { finalizers: null } });
  for (const [account, args] of [
    ['registry-mirror-uninstall-mirrors', []],
    ['registry-mirror-uninstall-leftovers', ['--leftovers', '--by-services']],
  ] as const) {
    const access = await rights.podAccess(account);
    const { code, stderr } = await startCommand(t, ['uninstall', ...args], {}, access).ended;
    t.is(code, 0, stderr);
  }
  await rights.settle(t);
});

test.serial('who purges caches', async (t) => {
  const objects = await kustomizeBuild(['cache-users']);
  await rights.use(cacheUser(objects, 'cache-user'));
  await mirror({ upstreamUrl: 'quay.io' });
  await cachePod(rights.world);
  const KUBECONFIG = await rights.kubeconfig('cache-user');
  // No kubelet is there: that is all that goes wrong.
  const purged = await startCommand(t, ['purge', 'hub', 'nginx'], { KUBECONFIG }).ended;
  t.notRegex(purged.stdout + purged.stderr, /forbidden/i);
  const other = await startCommand(t, ['purge', 'other', 'nginx'], { KUBECONFIG }).ended;
  t.regex(other.stderr, /there are: hub/);
  await rights.settle(t);
});

test.serial('no shipped right is without use', async (t) => {
  const shipped = [...(await shippedRights())].filter(
    (right) => !/^\w+ registry-(mirror-)?rewrit/.test(right),
  );
  const unused = shipped.filter((right) => !rights.needed.has(right));
  t.log(`${shipped.length} rights, ${exceptions.length} exceptions`);
  t.deepEqual(unused.sort(), exceptions.toSorted());
});

/** Makes the components' roles the only ones; returns the operator's variables. */
async function use(components: readonly string[]): Promise<Record<string, string>> {
  const objects = await kustomizeBuild(components);
  await rights.use(objects);
  return deploymentVariables(objects, operator);
}

function mirror(spec: Record<string, unknown>): Promise<Live> {
  return rights.world.mirror('hub', spec);
}
