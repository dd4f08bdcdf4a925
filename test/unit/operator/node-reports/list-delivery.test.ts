import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import type { NodeReport } from '../../../../src/api/node-report.ts';
import { KnownAgents } from '../../../../src/operator/node-reports/known-agents.ts';
import { type DeliveredList, ListDelivery } from '../../../../src/operator/node-reports/list-delivery.ts';
import { type NodeAgent, nodeAgents } from '../../../../src/operator/node-reports/node-agents.ts';
import { agentPod, nodeReport } from '../../../support/agent-server.ts';
import { eventually } from '../../../support/eventually.ts';

const listOf = (version: number, gone: readonly string[] = []): DeliveredList => ({
  version,
  gone,
  files: {},
});

/** Agents that say what the test lets them; a visit takes no time, and each moves the clock on. */
function scene(t: ExecutionContext, labels: object = { component: 'node-agent-shared', mirror: undefined }) {
  const agents = nodeAgents(
    ['a', 'b'].map((node) => agentPod(node, { address: '10.0.0.1', port: 29_001 }, { labels })),
    29_000,
  );
  const known = new KnownAgents();
  known.sync(agents);
  const world = { now: 1_000, visits: [] as string[], told: 0, says: new Map<string, NodeReport>() };
  const delivery = new ListDelivery({
    agents: () => known.all(),
    visit: async (agent: NodeAgent) => {
      world.now += 1_000;
      world.visits.push(agent.node);
      const report = world.says.get(agent.node);
      if (report === undefined) known.failed(agent, world.now);
      else known.heard(agent, report, world.now);
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
  const stop = new AbortController();
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
  const { agents, delivery, world, say, hear, quiet } = scene(t);
  const [agent] = agents;
  say(1);
  hear();
  t.is(await quiet(), 0, 'there is no list yet');
  delivery.deliver(listOf(2, ['old']));
  await eventually(() => assert.ok(world.visits.length >= 4));
  t.is(delivery.missingTo(agent!, world.says.get('a')!)?.version, 2);
  say(2, { mirrors: [nodeReport({ complete: false }).mirrors[0]!] });
  const wiring = world.visits.length;
  await eventually(() => assert.ok(world.visits.length >= wiring + 4));
  t.is(delivery.missingTo(agent!, world.says.get('a')!), undefined);
  say(2, { owners: ['old'] });
  const restoring = world.visits.length;
  await eventually(() => assert.ok(world.visits.length >= restoring + 4));
  say(2);
  const settled = await quiet();
  t.true(world.told > 0);
  delivery.deliver(listOf(2, ['old']));
  t.is(await quiet(), settled, 'it is no other list');
});

test('What takes longer than a minute is left to the rounds', async (t) => {
  const { delivery, world, say, hear, quiet } = scene(t);
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
  t.is(alone.delivery.missingTo(alone.agents[0]!, alone.world.says.get('a')!), undefined);
  const old = scene(t);
  old.say(undefined);
  old.hear();
  old.delivery.deliver(listOf(2));
  t.is(await old.quiet(), 0);
  t.is(old.delivery.missingTo(old.agents[0]!, old.world.says.get('a')!), undefined);
});

test('Who does not answer holds nobody up', async (t) => {
  const { delivery, world, say, hear, quiet } = scene(t);
  say(1);
  hear();
  world.says.delete('b');
  world.says.set('a', { ...nodeReport({}, 'a'), owners: [], list: 2 });
  delivery.deliver(listOf(2));
  await quiet();
  t.deepEqual(world.visits, ['a', 'b']);
});
