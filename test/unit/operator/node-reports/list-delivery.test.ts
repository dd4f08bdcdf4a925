import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import type { NodeReport } from '../../../../src/api/node-report.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { KnownAgents } from '../../../../src/operator/node-reports/known-agents.ts';
import { type DeliveredList, ListDelivery } from '../../../../src/operator/node-reports/list-delivery.ts';
import { type NodeAgent, nodeAgents } from '../../../../src/operator/node-reports/node-agents.ts';
import { agentPod, nodeReport } from '../../../support/agent-server.ts';
import { eventually } from '../../../support/eventually.ts';

const listOf = (version: number, gone: readonly string[] = []): DeliveredList => ({
  version,
  gone,
  files: { 'mirrors.json': `list ${version}` },
});

/** Agents that say what the test lets them; the clock is moved by visits alone. */
function scene(t: ExecutionContext, labels: object = { component: 'node-agent-shared', mirror: undefined }) {
  const agents = nodeAgents(
    ['a', 'b'].map((node) => agentPod(node, { address: '10.0.0.1', port: 29_001 }, { labels })),
    29_000,
  );
  const known = new KnownAgents();
  known.sync(agents);
  const world = {
    now: 1_000,
    visitMs: 1,
    visits: [] as string[],
    brought: [] as string[],
    told: 0,
    says: new Map<string, NodeReport>(),
  };
  const stop = new AbortController();
  const delivery: ListDelivery = new ListDelivery({
    agents: () => known.all(),
    ask: async (_endpoint, { path, body }) => {
      world.brought.push(`${path} ${JSON.stringify(body)}`);
      return { status: 202, text: '' };
    },
    logger: createLogger({ level: 'silent' }),
    visit: async (agent: NodeAgent) => {
      world.now += world.visitMs;
      world.visits.push(agent.node);
      const report = world.says.get(agent.node);
      if (report === undefined) known.failed(agent, world.now);
      else known.heard(agent, report, world.now);
      if (report !== undefined) await delivery.bring(agent, report, stop.signal);
    },
    visited: () => {
      world.told += 1;
    },
    now: () => world.now,
    pauseMs: 1,
  });
  const say = (list: number | undefined, more: Partial<NodeReport> = {}) => {
    for (const node of ['a', 'b'])
      world.says.set(node, { ...nodeReport({}, node), owners: [], ...(list && { list }), ...more });
  };
  /** A round of the reports. */
  const hear = () => {
    for (const agent of agents) known.heard(agent, world.says.get(agent.node) ?? nodeReport(), world.now);
  };
  const ended = delivery.run(stop.signal);
  t.teardown(async () => {
    stop.abort();
    await ended;
  });
  /** Resolves when nobody has been visited for a while. */
  const quiet = async () => {
    let before = -1;
    while (before !== world.visits.length) {
      before = world.visits.length;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return world.visits.length;
  };
  return { agents, delivery, known, world, say, hear, quiet };
}

test('A new list is brought to agents that have another, until they have it and are done with it', async (t) => {
  const { delivery, known, world, say, hear, quiet } = scene(t);
  say(1);
  hear();
  t.is(await quiet(), 0, 'there is no list yet');
  delivery.deliver(listOf(2, ['old']));
  await eventually(() => assert.ok(world.visits.length >= 4));
  t.is(world.brought[0], `/list ${JSON.stringify({ files: listOf(2).files })}`);
  say(2, { mirrors: [nodeReport({ complete: false }).mirrors[0]!] });
  await eventually(() => assert.equal(known.all()[1]?.report?.list, 2));
  const [wiring, brought] = [world.visits.length, world.brought.length];
  await eventually(() => assert.ok(world.visits.length >= wiring + 4));
  t.is(world.brought.length, brought, 'they have it');
  say(2, { owners: ['old'] });
  const restoring = world.visits.length;
  await eventually(() => assert.ok(world.visits.length >= restoring + 4));
  for (const [node, { owners: _unknown, ...said }] of world.says) world.says.set(node, said);
  const looking = world.visits.length;
  await eventually(() => assert.ok(world.visits.length >= looking + 4));
  say(2);
  const settled = await quiet();
  t.true(world.told > 0);
  delivery.deliver(listOf(2, ['old']));
  t.is(await quiet(), settled, 'it is no other list');
});

test('What takes longer than a minute is left to the rounds', async (t) => {
  const { delivery, world, say, hear, quiet } = scene(t);
  world.visitMs = 1_000;
  say(1);
  hear();
  delivery.deliver(listOf(2));
  await quiet();
  t.true(world.now >= 61_000 && world.now < 70_000, `${world.now}`);
  const before = world.visits.length;
  delivery.wake();
  t.is(await quiet(), before);
});

test('Agents of a mirror’s own, and those of a version that takes none, are brought no list', async (t) => {
  const alone = scene(t, {});
  alone.say(1);
  alone.hear();
  alone.delivery.deliver(listOf(2));
  t.is(await alone.quiet(), 0);
  await alone.delivery.bring(alone.agents[0]!, alone.world.says.get('a')!, new AbortController().signal);
  t.deepEqual(alone.world.brought, []);
  const old = scene(t);
  old.say(undefined);
  old.hear();
  old.delivery.deliver(listOf(2));
  t.is(await old.quiet(), 0);
  await old.delivery.bring(old.agents[0]!, old.world.says.get('a')!, new AbortController().signal);
  t.deepEqual(old.world.brought, []);
});

test('Who is too busy to answer is asked again for ten seconds, and holds nobody up', async (t) => {
  const { delivery, world, say, hear, quiet } = scene(t);
  world.visitMs = 1_000;
  say(1);
  hear();
  world.says.delete('b');
  world.says.set('a', { ...nodeReport({}, 'a'), owners: [], list: 2 });
  delivery.deliver(listOf(2));
  await quiet();
  t.is(world.visits.filter((node) => node === 'a').length, 1);
  t.true(world.visits.length >= 10 && world.visits.length < 14, `${world.visits.length}`);
});
