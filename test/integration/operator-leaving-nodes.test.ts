import assert from 'node:assert/strict';
import test from 'ava';
import { eventually } from '../support/eventually.ts';
import { type LabelledNodes, labelledNodes } from '../support/labelled-nodes.ts';
import { type Live, pathsOf, restoreSetOf, startWorld, type World } from '../support/operator-world.ts';

let world: World;
test.before(async () => {
  world = await startWorld();
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

const pools = { a1: { pool: 'a' }, a2: { pool: 'a' }, b1: { pool: 'b' }, other: {} };
const mark = 'k8s.osp.tech/leaving-nodes';

/** A mirror on these nodes that was wired by an operator that runs. */
async function wired(t: Live, name: string, selection: object = {}): Promise<LabelledNodes> {
  const nodes = labelledNodes(t, world, pools);
  world.start();
  await world.mirror(name, { upstreamUrl: `${name}.example`, nodes: selection });
  await world.condition(name, 'NodesWired', 'Wired');
  await world.quiet(300);
  return nodes;
}

function select(name: string, nodes: object): Promise<Live> {
  return world.patch(pathsOf(name).mirror, { spec: { nodes } });
}

const poolOf = (pool: string | null) => ({ nodeSelector: { pool } });

function exists(path: string): Promise<Live> {
  return eventually(async () => {
    const object = await world.find(path);
    assert.ok(object, `${path} is not there`);
    return object;
  });
}

/** Waits until these nodes are wired, no other one is, and nothing is left of how that came about. */
async function assertSettled(
  name: string,
  nodes: LabelledNodes,
  expected: readonly string[],
  selected = expected,
): Promise<void> {
  await eventually(async () => {
    assert.deepEqual(nodes.wired(name), expected);
    assert.equal(await world.find(restoreSetOf(name)), undefined);
    const { metadata, status } = await world.get(pathsOf(name).daemonSet);
    assert.equal(metadata.annotations?.[mark], undefined);
    assert.equal(status.desiredNumberScheduled, selected.length);
  });
  assert.deepEqual([...nodes.fights], []);
}

test.serial('Nodes that leave a narrowed selection are restored, the others stay wired', async (t) => {
  const nodes = await wired(t, 'narrow');
  nodes.dead.add('b1');
  await select('narrow', poolOf('a'));
  // A node that does not answer holds its agent; nobody restores while it may still wire.
  await eventually(async () => {
    const { metadata } = await world.get(pathsOf('narrow').daemonSet);
    assert.match(metadata.annotations[mark], /"NotIn","values":\["a"\]/);
  });
  await world.quiet(300);
  t.is(await world.find(restoreSetOf('narrow')), undefined);
  nodes.dead.clear();
  await assertSettled('narrow', nodes, ['a1', 'a2']);
  t.deepEqual(nodes.restored('narrow'), ['b1', 'other']);
});

test.serial('What restores tolerates everything, hurries, and is told in the status', async (t) => {
  const nodes = await wired(t, 'shape', poolOf('a'));
  nodes.stuck.add('a2');
  await select('shape', poolOf('b'));
  const { metadata, spec } = await exists(restoreSetOf('shape'));
  t.is(metadata.ownerReferences[0].name, 'shape');
  const matchLabels = { app: 'docker-registry', mirror: 'shape', component: 'node-restore' };
  t.deepEqual(spec.selector.matchLabels, matchLabels);
  t.is(spec.updateStrategy.rollingUpdate.maxUnavailable, '100%');
  t.is(spec.minReadySeconds ?? 0, 0);
  t.deepEqual(spec.template.spec.tolerations, [{ operator: 'Exists' }]);
  await eventually(async () => {
    const { message } = await world.condition('shape', 'NodesWired', 'Wired');
    assert.equal(message, '1 of 1 nodes are wired; 2 nodes are being restored');
  });
  await world.quiet();
  t.truthy(await world.find(restoreSetOf('shape')), 'it waits for the last node');
  nodes.stuck.clear();
  await assertSettled('shape', nodes, ['b1']);
  await eventually(async () => {
    const { message } = await world.condition('shape', 'NodesWired', 'Wired');
    assert.equal(message, '1 of 1 nodes are wired');
  });
});

test.serial(
  'A wider selection makes no DaemonSet that restores, and a pass over it no request',
  async (t) => {
    const nodes = await wired(t, 'wide', poolOf('a'));
    world.proxy.reset();
    await select('wide', poolOf(null));
    await assertSettled('wide', nodes, Object.keys(pools));
    await world.quiet();
    const operators = world.proxy.requests.filter(({ path }) => !path.includes('/leases'));
    t.false(operators.some(({ path }) => path.endsWith('-restore')));
    const read = operators.filter(({ verb }) => verb === 'get' || verb === 'list');
    const agents = '/api/v1/namespaces/default/pods';
    t.deepEqual(
      read.filter(({ path }) => path !== agents),
      [],
      'agents are looked for when their DaemonSet changes, and nothing else is read',
    );
    t.deepEqual(nodes.restored('wide'), []);
  },
);

test.serial(
  'A selection that changes again forgets no node and restores none that is selected',
  async (t) => {
    const nodes = await wired(t, 'twice');
    nodes.stuck.add('other').add('b1');
    await select('twice', poolOf('a'));
    await exists(restoreSetOf('twice'));
    t.deepEqual(nodes.wired('twice'), Object.keys(pools));
    await select('twice', poolOf('b'));
    await eventually(() => assert.deepEqual(nodes.restored('twice'), ['a1', 'a2']));
    nodes.stuck.clear();
    await assertSettled('twice', nodes, ['b1']);
    t.deepEqual(nodes.restored('twice'), ['a1', 'a2', 'other']);
  },
);

test.serial('Nodes that come back while they are restored are wired again', async (t) => {
  const nodes = await wired(t, 'back');
  nodes.stuck.add('other');
  await select('back', poolOf('a'));
  await eventually(() => assert.deepEqual(nodes.restored('back'), ['b1']));
  await select('back', poolOf(null));
  await assertSettled('back', nodes, Object.keys(pools));
  t.deepEqual(nodes.restored('back'), []);
});

test.serial('Required node affinity counts like the selector, preferred does not', async (t) => {
  const nodes = await wired(t, 'affinity');
  const notB = { matchExpressions: [{ key: 'pool', operator: 'NotIn', values: ['b'] }] };
  const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [notB] } };
  await select('affinity', { affinity: { nodeAffinity: required } });
  await assertSettled('affinity', nodes, ['a1', 'a2', 'other']);
  t.deepEqual(nodes.restored('affinity'), ['b1']);

  world.proxy.reset();
  const preference = { weight: 1, preference: notB };
  const preferred = { preferredDuringSchedulingIgnoredDuringExecution: [preference] };
  await select('affinity', { affinity: { nodeAffinity: { ...required, ...preferred } } });
  await world.settled('affinity');
  await world.quiet();
  t.false(world.proxy.writes().some(({ path }) => path.endsWith('-restore')));
});

test.serial('A selection the API server refuses restores nothing', async (t) => {
  const nodes = await wired(t, 'refused');
  const odd = { matchExpressions: [{ key: 'pool', operator: 'Near', values: ['a'] }] };
  const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [odd] } };
  await select('refused', { affinity: { nodeAffinity: required } });
  await world.condition('refused', 'Stalled', 'ObjectRefused');
  await world.quiet();
  t.deepEqual(nodes.wired('refused'), Object.keys(pools));
  t.is(await world.find(restoreSetOf('refused')), undefined);
});

test.serial(
  'Where the nodes that leave cannot be said in terms, the agents stay where they are',
  async (t) => {
    const nodes = await wired(t, 'complex');
    const nodeSelectorTerms = [...'abcdefg'].map((letter) => ({
      matchExpressions: [`${letter}1`, `${letter}2`].map((key) => ({ key, operator: 'Exists' })),
    }));
    const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } };
    await select('complex', { affinity: { nodeAffinity: required } });
    const { message } = await world.condition('complex', 'Stalled', 'SelectionTooComplex');
    t.regex(message, /smaller steps/);
    t.deepEqual(nodes.wired('complex'), Object.keys(pools));

    await select('complex', { affinity: null, ...poolOf('a') });
    await world.condition('complex', 'Stalled', 'Working');
    await assertSettled('complex', nodes, ['a1', 'a2']);
  },
);

test.serial(
  'After the limit the nodes that were not reached are named and no longer waited for',
  async (t) => {
    const nodes = await wired(t, 'limit');
    await world.plane.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'agent',
        namespace: 'default',
        labels: { app: 'docker-registry', mirror: 'limit', component: 'node-restore' },
      },
      spec: { nodeName: 'b1', containers: [{ name: 'agent', image: 'agent' }] },
    } as Live);
    nodes.stuck.add('b1');
    await select('limit', poolOf('a'));
    await exists(restoreSetOf('limit'));
    await eventually(() => assert.deepEqual(nodes.restored('limit'), ['other']));
    const long = new Date(Date.now() - 3_600_000).toISOString();
    const metadata = { annotations: { 'k8s.osp.tech/restoring-since': long } };
    // Said again: an operator that has just read the time from before may write that.
    await eventually(async () => {
      const restores = await world.find(restoreSetOf('limit'));
      if (restores !== undefined) await world.patch(restoreSetOf('limit'), { metadata });
      assert.equal(restores, undefined);
    });
    await assertSettled('limit', nodes, ['a1', 'a2', 'b1'], ['a1', 'a2']);
    const told = (await world.warnings('limit')).find(({ reason }) => reason === 'NodesNotRestored');
    t.regex(told.message, /b1/);
  },
);

test.serial(
  'A mirror that is deleted meanwhile is taken back from all nodes, and nothing is left',
  async (t) => {
    const nodes = await wired(t, 'ends');
    await select('ends', poolOf('a'));
    await exists(restoreSetOf('ends'));
    await world.delete(pathsOf('ends').mirror);
    await eventually(async () => {
      for (const path of [...Object.values(pathsOf('ends')), restoreSetOf('ends')]) {
        assert.equal(await world.find(path), undefined, path);
      }
    });
    t.deepEqual(nodes.restored('ends'), Object.keys(pools));
  },
);

test.serial(
  'A mirror that is held back meanwhile is taken back from all nodes by one DaemonSet',
  async (t) => {
    const nodes = await wired(t, 'held');
    nodes.stuck.add('b1');
    await select('held', poolOf('a'));
    await exists(restoreSetOf('held'));
    const older = await world.get(pathsOf('narrow').mirror);
    await world.patch(pathsOf('held').mirror, { spec: { masqueradeUrl: older.status.masquerade } });
    await world.condition('held', 'Stalled', 'MasqueradeConflict');
    await eventually(async () => assert.equal(await world.find(restoreSetOf('held')), undefined));
    nodes.stuck.clear();
    await eventually(() => assert.deepEqual(nodes.restored('held'), Object.keys(pools)));

    await world.patch(pathsOf('held').mirror, { spec: { masqueradeUrl: null } });
    await assertSettled('held', nodes, ['a1', 'a2']);
    t.pass();
  },
);
