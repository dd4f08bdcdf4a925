import test from 'ava';
import { KnownAgents, wellPerRound, whomToAsk } from '../../../../src/operator/node-reports/known-agents.ts';
import { type NodeAgent, nodeAgents } from '../../../../src/operator/node-reports/node-agents.ts';
import { agentPod, mirrorOnNode, nodeReport } from '../../../support/agent-server.ts';

const now = Date.parse('2026-01-02T00:00:00Z');
const at = { address: '10.0.0.1', port: 29_001 };
const minute = 60_000;

function agentsOn(nodes: readonly string[], options: Parameters<typeof agentPod>[2] = {}): NodeAgent[] {
  return [
    ...nodeAgents(
      nodes.map((node) => agentPod(node, at, options)),
      29_000,
    ),
  ];
}

function knownOf(agents: readonly NodeAgent[]): KnownAgents {
  const known = new KnownAgents();
  known.sync(agents);
  return known;
}

const names = (agents: readonly NodeAgent[]) => agents.map(({ node }) => node).join();

test('Those are asked first that never told, do not answer, are not ready or have changed; then the others, oldest first', (t) => {
  const agents = agentsOn(['new', 'old', 'older', 'gone', 'changed']);
  const waiting = agentsOn(['waiting'], { ready: false });
  const known = knownOf([...agents, ...waiting]);
  const askAt = (node: string, ms: number) => {
    const agent = known.all().find((one) => one.agent.node === node)?.agent;
    if (agent) known.heard(agent, nodeReport(), ms);
  };
  for (const [index, node] of ['older', 'old', 'gone', 'changed', 'waiting'].entries())
    askAt(node, now + index);
  known.failed(agents.find(({ node }) => node === 'gone')!, now + 10);
  known.sync(known.all().map(({ agent }) => (agent.node === 'changed' ? { ...agent, version: '2' } : agent)));
  const { pressing, well } = whomToAsk(known.all(), now + minute);
  t.is(names(pressing), 'new,changed,waiting,gone');
  t.is(names(well), 'older,old');
  t.is(names(whomToAsk(known.all(), now, new Set(['old'])).well), 'older', 'news of one is awaited');
});

test('Of those that are well a round asks so many, and all get their turn', (t) => {
  const agents = agentsOn(Array.from({ length: 1_200 }, (_, index) => `n${index}`));
  const known = knownOf(agents);
  for (const agent of agents) known.heard(agent, nodeReport(), now);
  const asked = new Set<string>();
  for (let round = 1; round <= 3; round += 1) {
    const { well, pressing } = whomToAsk(known.all(), now + round);
    t.true(well.length <= wellPerRound);
    t.is(pressing.length, 0);
    for (const agent of well) {
      asked.add(agent.node);
      known.heard(agent, nodeReport(), now + round);
    }
  }
  t.is(asked.size, 1_200);
});

test('A new node that is not wired is awaited; ten minutes later that is its state', (t) => {
  const metadata = { creationTimestamp: new Date(now).toISOString() };
  const [agent] = agentsOn(['a'], { metadata });
  const known = knownOf([agent!]);
  known.heard(agent!, nodeReport({ complete: false }), now);
  t.is(whomToAsk(known.all(), now + 9 * minute).pressing.length, 1);
  t.is(whomToAsk(known.all(), now + 11 * minute).well.length, 1);
});

test('An agent that was asked while it started is asked again soon; one that fails for long is not', (t) => {
  const metadata = { creationTimestamp: new Date(now).toISOString() };
  const [agent] = agentsOn(['a'], { metadata });
  const known = knownOf([agent!]);
  known.failed(agent!, now + 1_000);
  t.true(known.hasNews(now + 2_000));
  t.false(known.hasNews(now + minute));
});

test('A pod that has no address, because no kubelet takes it, hurries nobody for longer than a start takes', (t) => {
  const metadata = { creationTimestamp: new Date(now).toISOString() };
  const [agent] = agentsOn(['a'], { metadata });
  const { endpoint: _none, ...unreachable } = agent!;
  const known = knownOf([unreachable]);
  t.true(known.hasNews(now + 2_000));
  t.false(known.hasNews(now + minute));
});

test('An agent that answers while its pod lasts unready is asked in each round, and hurries none', (t) => {
  const [young] = agentsOn(['a'], {
    ready: false,
    metadata: { creationTimestamp: new Date(now).toISOString() },
  });
  const known = knownOf([young!]);
  known.heard(young!, nodeReport(), now + 1_000);
  t.true(known.hasNews(now + 9 * minute));
  t.false(known.hasNews(now + 11 * minute));
  t.is(whomToAsk(known.all(), now + 11 * minute).pressing.length, 1);
});

test('Who does not answer keeps its last word for two minutes, and is then unreachable until it answers', (t) => {
  const [agent] = agentsOn(['a']);
  const known = knownOf([agent!]);
  const state = (ms: number) => known.of('hub', ms)[0]?.state;
  t.is(state(now), 'unheard');
  known.heard(agent!, nodeReport(), now);
  t.true(known.failed(agent!, now + minute), 'that is news');
  t.false(known.failed(agent!, now + 2 * minute));
  t.is(state(now + 2.9 * minute), 'heard');
  t.is(state(now + 3 * minute), 'unreachable');
  known.heard(agent!, nodeReport(), now + 4 * minute);
  t.is(state(now + 9 * minute), 'heard', 'however long ago that was: it is asked again in its turn');
});

test('An agent that was never heard is unreachable two minutes after it was first asked', (t) => {
  const [agent] = agentsOn(['a']);
  const known = knownOf([agent!]);
  known.failed(agent!, now);
  t.is(known.of('hub', now + minute)[0]?.state, 'unheard');
  t.is(known.of('hub', now + 2 * minute)[0]?.state, 'unreachable');
});

test('One agent may tell of several mirrors; of what it does not tell it is not on that node', (t) => {
  const labels = { component: 'node-agent-shared', mirror: undefined };
  const [agent] = agentsOn(['a'], { labels });
  const known = knownOf([agent!]);
  t.deepEqual(known.of('hub', now), []);
  const mirrors = [mirrorOnNode(), mirrorOnNode({ name: 'quay' })];
  known.heard(agent!, { ...nodeReport(), mirrors }, now);
  t.deepEqual([...known.mirrors()], ['hub', 'quay']);
  t.is(known.of('quay', now)[0]?.report?.name, 'quay');
  t.deepEqual(known.of('ghcr', now), []);
});

test('What a shared agent says by an older list than the mirror has is no word on it as it is now', (t) => {
  const labels = { component: 'node-agent-shared', mirror: undefined };
  const known = knownOf(agentsOn(['a'], { labels }));
  const [{ agent }] = known.all() as [{ agent: NodeAgent }];
  const state = (since?: number) => known.of('hub', now, { isShared: true, since })[0]?.state;
  known.heard(agent, { ...nodeReport(), list: 7 }, now);
  t.deepEqual(
    [state(), state(7), state(8), state(Number.POSITIVE_INFINITY)],
    ['heard', 'heard', 'unheard', 'unheard'],
  );
  known.heard(agent, nodeReport(), now + 1);
  t.is(state(8), 'heard', 'an agent of before tells no version');
  const own = knownOf(agentsOn(['a']));
  own.heard(own.all()[0]!.agent, { ...nodeReport(), list: 7 }, now);
  t.is(own.of('hub', now, { since: 8 })[0]?.state, 'heard', 'one of the mirror’s own has no list');
});

test('An agent that restores tells of no wiring; one that is gone is forgotten', (t) => {
  const [agent] = agentsOn(['a']);
  const known = knownOf([agent!]);
  known.heard(agent!, { ...nodeReport(), mode: 'restore' }, now);
  t.is(known.of('hub', now)[0]?.state, 'unheard');
  known.sync([]);
  t.deepEqual(known.of('hub', now), []);
});

test('What an agent said before a mirror was deleted does not tell that nothing of it is left', (t) => {
  const labels = { component: 'node-agent-shared', mirror: undefined };
  const [agent] = agentsOn(['a'], { labels });
  const known = knownOf([agent!]);
  known.heard(agent!, { ...nodeReport(), mirrors: [], owners: [] }, now);
  t.deepEqual(known.holding('hub', { at: now + 1 }), { nodes: ['a'], of: 1 }, 'it may have wired it since');
  known.heard(agent!, { ...nodeReport(), mirrors: [], owners: [] }, now + 2);
  t.deepEqual(known.holding('hub', { at: now + 1 }), { nodes: [], of: 1 });
  known.heard(agent!, { ...nodeReport(), mirrors: [] }, now + 3);
  t.deepEqual(known.holding('hub', { at: now + 1 }), { nodes: ['a'], of: 1 }, 'it could not look');
});

test('What an agent says by an older list does not tell what it does by this one, whenever it says so', (t) => {
  const labels = { component: 'node-agent-shared', mirror: undefined };
  const [agent] = agentsOn(['a'], { labels });
  const known = knownOf([agent!]);
  const since = { at: now, version: 8 };
  const says = { ...nodeReport(), mirrors: [], owners: [] };
  known.heard(agent!, { ...says, list: 7 }, now + minute);
  t.deepEqual(known.holding('hub', since), { nodes: ['a'], of: 1 }, 'it may be given the list of before');
  t.deepEqual(known.listing('hub', since), ['a']);
  known.heard(agent!, { ...says, list: 8, owners: ['hub'] }, now + 2 * minute);
  t.deepEqual(known.holding('hub', since), { nodes: ['a'], of: 1 });
  known.heard(agent!, { ...says, list: 9 }, now + 3 * minute);
  t.deepEqual(known.holding('hub', since), { nodes: [], of: 1 });
  t.deepEqual(known.listing('hub', since), []);
  known.heard(agent!, says, now + 4 * minute);
  t.deepEqual(
    known.holding('hub', since),
    { nodes: [], of: 1 },
    'an agent that tells no version is believed',
  );
});

test('Of two answers that cross each other the later one counts', (t) => {
  const [agent] = agentsOn(['a']);
  const known = knownOf([agent!]);
  known.heard(agent!, nodeReport({ complete: false }), now + 2);
  known.heard(agent!, nodeReport(), now + 1);
  t.false(known.of('hub', now + 3)[0]?.report?.complete);
});

test('What agents say counts at once after the operator’s clock was set back', (t) => {
  const [agent] = agentsOn(['a']);
  const known = knownOf([agent!]);
  known.heard(agent!, nodeReport({ complete: false }), now);
  known.heard(agent!, nodeReport(), now - 3_600_000);
  t.true(known.of('hub', now - 3_600_000)[0]?.report?.complete);
});

test('A shared agent may wire a mirror until it says that it is told nothing of it', (t) => {
  const labels = { component: 'node-agent-shared', mirror: undefined };
  const known = knownOf([...agentsOn(['a'], { labels }), ...agentsOn(['own'])]);
  const [agent] = known.all().map((one) => one.agent);
  t.deepEqual(known.listing('hub', { at: now }), ['a'], 'it has said nothing yet');
  known.heard(agent!, nodeReport(), now + 1);
  t.deepEqual(known.listing('hub', { at: now }), ['a']);
  known.heard(agent!, { ...nodeReport(), mirrors: [] }, now + 2);
  t.deepEqual(known.listing('hub', { at: now }), []);
  t.deepEqual(known.listing('hub', { at: now + 3 }), ['a']);
});
