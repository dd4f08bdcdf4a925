/** `uninstall` against a real API server: with the operator, without one, and what is left afterwards. */
import assert from 'node:assert/strict';
import test from 'ava';
import { startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { crdFile, fakeNodes, type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';

const core = '/api/v1/namespaces/default';
const sharedSet = '/apis/apps/v1/namespaces/default/daemonsets/registry-mirror-nodes';
const secretsOfAll = [`${core}/secrets/registry-mirror-nodes`, `${core}/secrets/registry-mirror-ca`];
const lease = '/apis/coordination.k8s.io/v1/namespaces/default/leases/registry-mirror-operator';

let world: World;
test.before(async () => {
  world = await startWorld();
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

function uninstall(t: Parameters<typeof startCommand>[0], ...args: string[]) {
  return startCommand(t, ['uninstall', ...args], { KUBECONFIG: world.plane.kubeconfigPath });
}

test.serial('with the operator every mirror goes once its nodes are restored', async (t) => {
  world.start();
  fakeNodes(t, world, 2);
  for (const name of ['hub', 'quay']) {
    await world.mirror(name, { upstreamUrl: `${name}.example` });
    await eventually(() => world.get(pathsOf(name).daemonSet));
  }
  const { code, stdout, stderr } = await uninstall(t).ended;
  t.is(code, 0, stderr);
  for (const name of ['hub', 'quay']) {
    t.true(stdout.includes(`${name}: deleting\n`), stdout);
    t.true(stdout.includes(`${name}: gone\n`), stdout);
    t.is(await world.find(pathsOf(name).mirror), undefined);
    t.is(await world.find(pathsOf(name).daemonSet), undefined);
  }
  t.true(stdout.endsWith('No RegistryMirror is left\n'), stdout);
});

test.serial('what is left of an operator that is gone is deleted, and nothing of others', async (t) => {
  const operator = world.start({ NODE_DAEMONSETS: 'shared' });
  fakeNodes(t, world, 0);
  await world.mirror('hub', { upstreamUrl: 'quay.io' });
  const left = [sharedSet, ...secretsOfAll, lease];
  for (const path of left) await eventually(() => world.get(path));
  await world.plane.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'registry-mirror-credentials', namespace: 'default' },
  });

  for (const by of [[], ['--by-services']]) {
    const early = await uninstall(t, '--leftovers', ...by).ended;
    t.is(early.code, 1);
    t.regex(early.stderr, /There are RegistryMirrors: hub\. Delete them first/);
  }
  t.is((await uninstall(t).ended).code, 0);
  await operator.stop();
  t.is((await uninstall(t, '--leftovers', '--by-services', '--dry-run').ended).code, 0);

  const dry = await uninstall(t, '--leftovers', '--dry-run').ended;
  t.is(dry.code, 0, dry.stderr);
  t.regex(dry.stdout, /^DaemonSet default\/registry-mirror-nodes: would be deleted$/m);
  for (const path of left) t.truthy(await world.find(path), path);

  const { code, stdout, stderr } = await uninstall(t, '--leftovers').ended;
  t.is(code, 0, stderr);
  t.is(stdout.match(/: deleted$/gm)?.length, left.length, stdout);
  for (const path of left) t.is(await world.find(path), undefined, path);
  t.truthy(await world.find(`${core}/secrets/registry-mirror-credentials`));
  const stdoutOfNone = 'Nothing of an operator is left in namespace default\n';
  t.deepEqual(await uninstall(t, '--leftovers').ended, { code: 0, stdout: stdoutOfNone, stderr: '' });
});

test.serial('what may not be deleted keeps nothing else from it', async (t) => {
  const metadata = { name: 'registry-mirror-ca', namespace: 'default' };
  await world.plane.apply({ apiVersion: 'v1', kind: 'Secret', metadata });
  await world.plane.grant({ kind: 'User', name: 'joe' }, [
    { apiGroups: [''], resources: ['services'], verbs: ['list'] },
    { apiGroups: [''], resources: ['secrets'], verbs: ['delete'] },
    { apiGroups: ['apps'], resources: ['daemonsets'], verbs: ['delete'] },
  ]);
  const KUBECONFIG = await world.plane.kubeconfigFor({ user: 'joe' });
  const ended = startCommand(t, ['uninstall', '--leftovers', '--by-services'], { KUBECONFIG }).ended;
  const { code, stdout, stderr } = await ended;
  t.is(code, 1);
  t.is(stdout, 'Secret default/registry-mirror-ca: deleted\n');
  t.is(stderr.match(/this needs the right to delete /g)?.length, 2, stderr);
  t.is(await world.find(`${core}/secrets/registry-mirror-ca`), undefined);
});

test.serial('without an operator it ends in time and says what holds a mirror', async (t) => {
  await held('hub', 'k8s.osp.tech/undo-nodes');
  const { code, stdout } = await uninstall(t, '--timeout', '3s').ended;
  t.is(code, 1);
  t.regex(stdout, /^hub: still there; held by k8s\.osp\.tech\/undo-nodes; is the operator running\?$/m);
  await release('hub');
});

test.serial(
  'a mirror that somebody makes meanwhile goes, too, and an API server that was away is met again',
  async (t) => {
    await held('hub', 'example.com/slow');
    const running = uninstall(t, '--timeout', '2m');
    await eventually(async () => assert.ok((await mirror('hub')).metadata.deletionTimestamp));
    await held('late', 'example.com/slow');
    await world.plane.restartApiServer({ signal: 'SIGKILL', gapMs: 2_000 });
    await eventually(async () => assert.ok((await mirror('late')).metadata.deletionTimestamp));
    for (const name of ['hub', 'late']) await release(name);
    const { code, stdout } = await running.ended;
    t.is(code, 0, stdout);
    t.regex(stdout, /^Trying again: /m);
  },
);

test.serial('a dry run names the mirrors and deletes none', async (t) => {
  await held('hub', 'example.com/slow');
  const { code, stdout } = await uninstall(t, '--dry-run').ended;
  t.deepEqual([code, stdout], [0, 'hub: would be deleted\n']);
  t.is((await mirror('hub')).metadata.deletionTimestamp, undefined);
  await release('hub');
  await world.delete(pathsOf('hub').mirror);
});

test.serial('who may not delete mirrors is told the right that is missing', async (t) => {
  await held('hub', 'example.com/slow');
  await world.plane.grant({ kind: 'User', name: 'jane' }, [
    { apiGroups: ['k8s.osp.tech'], resources: ['registrymirrors'], verbs: ['list'] },
  ]);
  const KUBECONFIG = await world.plane.kubeconfigFor({ user: 'jane' });
  const { code, stderr } = await startCommand(t, ['uninstall'], { KUBECONFIG }).ended;
  t.is(code, 1);
  t.regex(stderr, /this needs the right to delete registrymirrors\.k8s\.osp\.tech/);
  await release('hub');
  await world.delete(pathsOf('hub').mirror);
});

test.serial('where the API server does not know the kind there is nothing to do', async (t) => {
  await world.delete('/apis/apiextensions.k8s.io/v1/customresourcedefinitions/registrymirrors.k8s.osp.tech');
  await eventually(async () => assert.equal(await world.find('/apis/k8s.osp.tech/v1'), undefined));
  const { code, stdout } = await uninstall(t).ended;
  t.deepEqual([code, stdout], [0, 'No RegistryMirror is left\n']);
  t.is((await uninstall(t, '--leftovers').ended).code, 0);
  await world.plane.applyCrd(crdFile);
});

test.serial('a time that is none is refused', async (t) => {
  for (const time of ['5', '0s', '-1m', 'soon']) {
    const { code, stderr } = await uninstall(t, `--timeout=${time}`).ended;
    t.is(code, 1);
    t.regex(stderr, /expected a time like 90s, 10m or 1h/, time);
  }
});

function mirror(name: string): Promise<Live> {
  return world.get(pathsOf(name).mirror);
}

/** A mirror that nobody lets go of. */
async function held(name: string, finalizer: string): Promise<void> {
  await world.mirror(name, { upstreamUrl: `${name}.example` });
  await world.patch(pathsOf(name).mirror, { metadata: { finalizers: [finalizer] } });
}

async function release(name: string): Promise<void> {
  await world.patch(pathsOf(name).mirror, { metadata: { finalizers: null } });
}
