import assert from 'node:assert/strict';
import test from 'ava';
import { agentNode } from '../support/agent-node.ts';
import { eventually } from '../support/eventually.ts';
import { type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';

let world: World;
test.before(async () => {
  world = await startWorld();
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

const secretPath = '/api/v1/namespaces/default/secrets/registry-mirror-nodes';
const setPath = '/apis/apps/v1/namespaces/default/daemonsets/registry-mirror-nodes';
const shared = { NODE_DAEMONSETS: 'shared', NODE_PORTS: '28400-28450' };
const slow = { timeout: 60_000 };

/** Agents are asked in rounds. */
async function wired(name: string): Promise<void> {
  await eventually(async () => {
    const { status } = await world.get(pathsOf(name).mirror);
    const condition = status?.conditions?.find(({ type }: Live) => type === 'NodesWired');
    assert.equal(condition?.reason, 'Wired', JSON.stringify(condition));
    assert.equal(status.nodes, '1/1');
  }, slow);
}

/** What the agents are told. */
async function list(): Promise<{ mirrors: Live[]; others: string[] }> {
  const secret = await world.get(secretPath);
  return JSON.parse(Buffer.from(secret.data['mirrors.json'], 'base64').toString());
}

test.serial(
  'one agent wires every mirror of its node, says so, and takes back a mirror that is deleted before that is let go',
  async (t) => {
    t.timeout(120_000);
    const node = agentNode(t, world);
    const before = node.hosts();
    world.start(shared);
    await world.mirror('one', { upstreamUrl: 'one.example' });
    await world.mirror('two', { upstreamUrl: 'two.example' });
    for (const name of ['one', 'two']) await wired(name);
    t.regex(node.hosts(), /\tmirror-one\.example\t/);
    t.regex(node.hosts(), /\tmirror-two\.example\t/);
    t.deepEqual(node.agents(), ['registry-mirror-nodes']);
    const mirrors = (await list()).mirrors;
    const ports = new Set(mirrors.map(({ port }: Live) => port));
    t.is(ports.size, 2);
    t.false(ports.has(28_400));
    t.is((await world.get(pathsOf('one').mirror)).status.nodes, '1/1');

    await world.deleteMirror('one');
    t.notRegex(node.hosts(), /mirror-one/);
    t.regex(node.hosts(), /\tmirror-two\.example\t/);

    await world.deleteMirror('two');
    t.is(node.hosts(), before);
  },
);

test.serial('who waits for the nodes after an edit waits for those that are wired as it says', async (t) => {
  t.timeout(120_000);
  const node = agentNode(t, world);
  world.start(shared);
  for (const host of ['before', 'after', 'before', 'after']) {
    await world.mirror('edited', { upstreamUrl: `${host}.example` });
    await eventually(
      async () => {
        const { metadata, status } = await world.get(pathsOf('edited').mirror);
        const found = status?.conditions?.find(({ type }: Live) => type === 'NodesWired');
        assert.deepEqual([found?.status, found?.observedGeneration], ['True', metadata.generation]);
      },
      { ...slow, interval: 20 },
    );
    t.regex(node.hosts(), new RegExp(`\tmirror-${host}\\.example\t`));
  }
  await world.deleteMirror('edited');
});

test.serial('how far a rollout of the agents is, every mirror says, and when it is over', async (t) => {
  const node = agentNode(t, world);
  world.start(shared);
  await world.mirror('rolled', { upstreamUrl: 'rolled.example' });
  await wired('rolled');
  node.isOutdated = true;
  await world.condition('rolled', 'NodesWired', 'RollingOut');
  node.isOutdated = false;
  await wired('rolled');
  await world.deleteMirror('rolled');
  t.pass();
});

test.serial(
  'moving from agents of each mirror to shared ones and back unwires nothing, and leaves no agent behind',
  async (t) => {
    t.timeout(180_000);
    const node = agentNode(t, world);
    world.start({ NODE_PORTS: shared.NODE_PORTS });
    await world.mirror('move', { upstreamUrl: 'move.example' });
    await wired('move');
    const before = node.hosts();
    const watched = setInterval(() => t.is(node.hosts(), before), 50);
    t.teardown(() => clearInterval(watched));
    await world.stopOperators();

    world.start(shared);
    await eventually(() => assert.deepEqual(node.agents(), ['registry-mirror-nodes']), slow);
    t.deepEqual(
      (await list()).mirrors.map(({ name }: Live) => name),
      ['move'],
    );
    await world.stopOperators();

    world.start({ NODE_PORTS: shared.NODE_PORTS });
    await eventually(() => assert.deepEqual(node.agents(), ['registry-mirror-move-utils']), slow);
    await wired('move');
    await eventually(async () => assert.ok((await world.find(secretPath)) === undefined), slow);
    clearInterval(watched);
    t.is(node.hosts(), before);
    await world.deleteMirror('move');
  },
);

test.serial(
  'a mirror that chooses its nodes has agents of its own, which the shared ones leave alone',
  async (t) => {
    t.timeout(120_000);
    world.start(shared);
    await world.mirror('all', { upstreamUrl: 'all.example' });
    await world.mirror('some', { upstreamUrl: 'some.example', nodes: { nodeSelector: { pool: 'a' } } });
    await eventually(async () => {
      const { mirrors, others } = await list();
      assert.deepEqual([mirrors.map(({ name }) => name), others], [['all'], ['some']]);
    }, slow);
    await eventually(async () => assert.ok(await world.find(pathsOf('some').daemonSet)), slow);
    t.is(await world.find(pathsOf('all').daemonSet), undefined);
    const { spec } = await world.get(setPath);
    t.is(spec.template.spec.nodeSelector.pool, undefined);
  },
);

test.serial(
  'a mirror whose own agents the API server refuses is left to the shared ones until it is mended',
  async (t) => {
    t.timeout(120_000);
    const node = agentNode(t, world);
    world.start(shared);
    await world.mirror('edited', { upstreamUrl: 'edited.example' });
    await wired('edited');
    const before = node.hosts();
    const resources = { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } };
    await world.mirror('edited', { upstreamUrl: 'edited.example', nodes: { resources } });
    await world.condition('edited', 'Stalled', 'ObjectRefused');
    await world.quiet();
    const { mirrors, others } = await list();
    t.true(mirrors.some(({ name }) => name === 'edited'));
    t.false(others.includes('edited'));
    t.is(node.hosts(), before);
    await world.deleteMirror('edited');
    t.notRegex(node.hosts(), /edited/);
  },
);
