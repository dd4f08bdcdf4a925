import test from 'ava';
import fc from 'fast-check';
import type { RuntimeOnNode } from '../../../../src/api/node-report.ts';
import type { NodeOfMirror } from '../../../../src/operator/node-reports/known-agents.ts';
import {
  type Permit,
  planRestarts,
  type RestartFacts,
  type RestartState,
  restartLimit,
  restartLimitMs,
} from '../../../../src/operator/restarts/plan.ts';
import { heard, unheard } from '../node-reports/nodes.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
const minute = 60_000;
const nothing: RestartState = { running: [], stuck: [] };

function node(name: string, runtime: Partial<RuntimeOnNode>, reportedAt = now): NodeOfMirror {
  const containerd = { runtime: 'containerd', found: true, wired: true, live: true } as const;
  const told = heard(name, { runtimes: [{ ...containerd, reason: '', message: '', ...runtime }] });
  const agent = { ...told.agent, endpoint: { address: '10.0.0.1', port: 1, serverName: 's' } };
  return { ...told, agent, reportedAt };
}

const waiting = (name: string) => node(name, { live: false, restartNeeded: true });
const coming = (name: string) => node(name, { live: false });

function factsOf(nodes: readonly NodeOfMirror[], more: Partial<RestartFacts> = {}): RestartFacts {
  const mirror = { name: 'hub', restarts: true, generation: 1, nodes };
  const selectedNodes = nodes.length;
  return { mirrors: [mirror], selectedNodes, refused: new Map(), began: now - 60 * minute, now, ...more };
}

const permit = (name: string, more: Partial<Permit> = {}): Permit => ({
  ...{ mirror: 'hub', node: name, runtime: 'containerd', since: now - minute, generation: 1, accepted: true },
  ...more,
});

const allowed = (state: RestartState, facts: RestartFacts) =>
  planRestarts(state, facts).allow.map((one) => one.node);

test('One node in a hundred may restart at a time, one at least, by name', (t) => {
  t.deepEqual([0, 1, 99, 100, 250, 5_000].map(restartLimit), [1, 1, 1, 1, 2, 50]);
  const nodes = ['c', 'a', 'b'].map(waiting);
  t.deepEqual(allowed(nothing, factsOf(nodes)), ['a']);
  t.deepEqual(allowed(nothing, factsOf(nodes, { selectedNodes: 250 })), ['a', 'b']);
});

test('Only runtimes that wait are restarted, and only for mirrors that want it', (t) => {
  const nodes = [node('a', {}), coming('b'), unheard('c')];
  t.deepEqual(allowed(nothing, factsOf(nodes)), []);
  const facts = factsOf([waiting('a')]);
  const mirrors = facts.mirrors.map((one) => ({ ...one, restarts: false }));
  t.deepEqual(allowed(nothing, { ...facts, mirrors }), []);
});

test('A node counts until it says, after its permit, that it is live', (t) => {
  const state = { running: [permit('a')], stuck: [] };
  t.deepEqual(allowed(state, factsOf([coming('a'), waiting('b')])), []);
  const old = node('a', {}, now - 2 * minute);
  t.deepEqual(allowed(state, factsOf([old, waiting('b')])), [], 'that was said before');
  const { state: after, allow } = planRestarts(state, factsOf([node('a', {}), waiting('b')]));
  t.deepEqual(after, nothing);
  t.is(allow[0]?.node, 'b');
});

test('The bound holds over all mirrors, and a node restarts once for all of them', (t) => {
  const facts = factsOf([waiting('a'), waiting('b')]);
  const mirrors = ['hub', 'quay'].map((name) => ({ ...facts.mirrors[0]!, name }));
  t.deepEqual(allowed(nothing, { ...facts, mirrors, selectedNodes: 300 }), ['a', 'b']);
  const state = { running: [permit('a', { mirror: 'quay' })], stuck: [] };
  t.deepEqual(allowed(state, { ...facts, mirrors }), []);
});

test('A node that is not live after five minutes stops its mirror, and no other one', (t) => {
  const late = permit('a', { since: now - restartLimitMs });
  const facts = factsOf([coming('a'), waiting('b')]);
  const other = { name: 'quay', restarts: true, generation: 7, nodes: [waiting('c')] };
  const { state, allow } = planRestarts(
    { running: [late], stuck: [] },
    { ...facts, mirrors: [...facts.mirrors, other] },
  );
  t.deepEqual(state, { running: [], stuck: [late] });
  t.deepEqual(
    allow.map((one) => one.node),
    ['c'],
  );
});

test('A mirror goes on when its node is live after all, is gone, or when the mirror was changed', (t) => {
  const stuck = { running: [], stuck: [permit('a', { since: now - 10 * minute })] };
  t.deepEqual(allowed(stuck, factsOf([coming('a'), waiting('b')])), []);
  t.deepEqual(allowed(stuck, factsOf([node('a', {}), waiting('b')])), ['b']);
  t.deepEqual(allowed(stuck, factsOf([waiting('b')])), ['b']);
  const facts = factsOf([coming('a'), waiting('b')]);
  const changed = { ...facts, mirrors: facts.mirrors.map((one) => ({ ...one, generation: 2 })) };
  t.deepEqual(allowed(stuck, changed), ['b']);
});

test('A node that restarted in vain is stuck; one that never heard of its permit is asked again', (t) => {
  const since = now - restartLimitMs;
  const facts = factsOf([waiting('a')]);
  const inVain = planRestarts({ running: [permit('a', { since })], stuck: [] }, facts);
  t.is(inVain.state.stuck.length, 1);
  const unheardOf = planRestarts({ running: [permit('a', { since, accepted: false })], stuck: [] }, facts);
  t.deepEqual(unheardOf.state, nothing);
  t.is(unheardOf.allow[0]?.node, 'a');
});

test('An agent that refused is asked last', (t) => {
  const refused = new Map([['a', now - minute]]);
  t.deepEqual(allowed(nothing, factsOf([waiting('a'), waiting('b')], { refused })), ['b']);
});

test('What another leader allowed counts for as long as it may be under way', (t) => {
  const nodes = [coming('a'), waiting('b')];
  t.deepEqual(allowed(nothing, factsOf(nodes, { began: now - minute })), []);
  t.deepEqual(
    allowed(nothing, factsOf(nodes, { began: now - restartLimitMs })),
    ['b'],
    'it is broken otherwise',
  );
});

test('Whatever nodes say, never more than the bound restart at once', (t) => {
  const kinds = [waiting, coming, (name: string) => node(name, {}), unheard];
  const cluster = fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 30 });
  const rounds = fc.array(cluster, { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(rounds, fc.integer({ min: 1, max: 500 }), (all, selectedNodes) => {
      let state = nothing;
      for (const [round, made] of all.entries()) {
        const at = now + round * minute;
        const nodes = made.map((kind, index) => ({ ...kind(`n${index}`), reportedAt: at }));
        const plan = planRestarts(state, factsOf(nodes, { selectedNodes, now: at }));
        const given = plan.allow.map((one) => permit(one.node, { since: at }));
        state = { ...plan.state, running: [...plan.state.running, ...given] };
        t.true(state.running.length <= restartLimit(selectedNodes));
        t.is(new Set(state.running.map((one) => one.node)).size, state.running.length);
      }
    }),
  );
});
