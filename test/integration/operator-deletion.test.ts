import assert from 'node:assert/strict';
import test from 'ava';
import { eventually } from '../support/eventually.ts';
import { fakeNodes, type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';

let world: World;
test.before(async () => {
  // The garbage collector is real; the nodes are the tests' own.
  const controllers = ['*', '-daemonset-controller', '-statefulset-controller', '-node-lifecycle-controller'];
  world = await startWorld({ enableControllerManager: true, controllers });
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

async function running(name: string): Promise<void> {
  world.start();
  await world.mirror(name, { upstreamUrl: `${name}.example` });
  await world.settled(name);
}

/** Follows a DaemonSet and returns the modes, with or without owner, in which it was seen. */
function follow(t: Live, name: string): Set<string> {
  const seen = new Set<string>();
  const timer = setInterval(async () => {
    const set = await world.find(pathsOf(name).daemonSet).catch(() => undefined);
    if (set === undefined || set.metadata.deletionTimestamp) return;
    const { env } = set.spec.template.spec.containers[0];
    const mode = env.find((variable: Live) => variable.name === 'NODE_AGENT_MODE').value;
    seen.add(`${mode} ${set.metadata.ownerReferences ? 'owned' : 'free'}`);
    if (mode !== 'restore') return;
    const { rollingUpdate } = set.spec.updateStrategy;
    seen.add(`${rollingUpdate.maxUnavailable} ${set.spec.minReadySeconds ?? 0}`);
  }, 20);
  t.teardown(() => clearInterval(timer));
  return seen;
}

async function assertGone(name: string): Promise<void> {
  for (const [key, path] of Object.entries(pathsOf(name))) {
    assert.equal(await world.find(path), undefined, `${key} of ${name} is still there`);
  }
}

for (const policy of ['Background', 'Foreground', 'Orphan']) {
  test.serial(`${policy} deletion restores the nodes first, then removes everything`, async (t) => {
    const name = policy.toLowerCase();
    await running(name);
    fakeNodes(t, world, 3);
    await world.condition(name, 'NodesWired', 'Wired');
    const seen = follow(t, name);
    await world.delete(pathsOf(name).mirror, policy);
    await eventually(() => assertGone(name));
    t.true(seen.has('restore free'), [...seen].join(', '));
    t.true(seen.has('100% 0'), [...seen].join(', '));
  });
}

test.serial(
  'Agents that are being deleted in the foreground, and of which one on a dead node stays, do not keep the nodes from being restored',
  async (t) => {
    t.timeout(150_000);
    await running('stuck');
    fakeNodes(t, world, 1);
    await world.condition('stuck', 'NodesWired', 'Wired');
    const seen = follow(t, 'stuck');
    const { metadata } = await world.get(pathsOf('stuck').daemonSet);
    const owner = { apiVersion: 'apps/v1', kind: 'DaemonSet', name: metadata.name, uid: metadata.uid };
    await world.plane.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'stuck-agent',
        namespace: 'default',
        labels: { app: 'docker-registry', mirror: 'stuck', component: 'hostess-certificate' },
        ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
      },
      spec: { nodeName: 'dead-node', containers: [{ name: 'agent', image: 'agent' }] },
    } as Live);
    await world.delete(pathsOf('stuck').daemonSet, 'Foreground');
    await world.delete(pathsOf('stuck').mirror);
    await world.condition('stuck', 'NodesWired', 'Restoring');
    t.deepEqual((await world.get(pathsOf('stuck').daemonSet)).metadata.finalizers, ['foregroundDeletion']);
    await eventually(() => assertGone('stuck'), { timeout: 100_000 });
    t.true(seen.has('restore free'), [...seen].join(', '));
  },
);

test.serial('A mirror that had to stand back takes nothing of the other with it', async (t) => {
  await running('elder');
  const headless = await world.get(pathsOf('elder').headlessService);
  await world.mirror('elder-headless', { upstreamUrl: 'other.example' });
  await world.condition('elder-headless', 'Stalled', 'NameConflict');
  await world.deleteMirror('elder-headless');
  t.is((await world.get(pathsOf('elder').headlessService)).metadata.uid, headless.metadata.uid);
});

test.serial('Deletion waits for nodes that are not restored yet, and says so', async (t) => {
  await running('waits');
  fakeNodes(t, world, 2, 1);
  await world.condition('waits', 'NodesWired', 'NodesNotReady');
  await world.delete(pathsOf('waits').mirror);
  const { message } = await world.condition('waits', 'NodesWired', 'Restoring');
  t.regex(message, /of 2 nodes are restored/);
  await world.quiet();
  const set = await world.get(pathsOf('waits').daemonSet);
  t.truthy(await world.find(pathsOf('waits').service), 'the cache serves until the nodes are restored');

  await world.patch(`${pathsOf('waits').daemonSet}/status`, { status: { ...set.status, numberReady: 2 } });
  await eventually(() => assertGone('waits'));
});

test.serial('After the limit the nodes that were not reached are named and the mirror goes', async (t) => {
  await running('limit');
  fakeNodes(t, world, 1, 0);
  await world.plane.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'agent',
      namespace: 'default',
      labels: { app: 'docker-registry', mirror: 'limit', component: 'hostess-certificate' },
    },
    spec: { nodeName: 'dead-node', containers: [{ name: 'agent', image: 'agent' }] },
  } as Live);
  await world.delete(pathsOf('limit').mirror);
  await world.condition('limit', 'NodesWired', 'Restoring');
  const long = new Date(Date.now() - 3_600_000).toISOString();
  await world.patch(pathsOf('limit').daemonSet, {
    metadata: { annotations: { 'k8s.osp.tech/restoring-since': long } },
  });
  await eventually(() => assertGone('limit'));
  const told = (await world.warnings('limit')).find(({ reason }) => reason === 'NodesNotRestored');
  t.regex(told.message, /dead-node/);
});

test.serial('A mirror that wired no node is let go at once', async (t) => {
  world.start();
  await world.mirror('never', { upstreamUrl: 'never.example', priorityClass: 'absent' });
  await world.condition('never', 'Stalled', 'PriorityClassNotFound');
  const seen = follow(t, 'never');
  await world.delete(pathsOf('never').mirror);
  await eventually(() => assertGone('never'));
  t.is(seen.size, 0);
});

test.serial('A mirror whose operator’s namespace is gone is let go', async (t) => {
  await world.plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'away' } } as Live);
  world.start({ NAMESPACE: 'away' });
  await world.mirror('homeless', { upstreamUrl: 'homeless.example' });
  await world.settled('homeless');
  await world.delete('/api/v1/namespaces/away');
  await world.deleteMirror('homeless');
  t.pass();
});
