import test from 'ava';
import fc from 'fast-check';
import type { NodeOfMirror } from '../../../../src/operator/node-reports/known-agents.ts';
import {
  lateMs,
  planRemovals,
  type Taint,
  type TaintedNode,
  type TaintingMirror,
} from '../../../../src/operator/startup-taints/plan.ts';
import { heard, unheard } from '../node-reports/nodes.ts';

const key = 'example.com/not-wired';
const ours: Taint = { key, effect: 'NoSchedule' };
const theirs: Taint = { key: 'other', value: 'x', effect: 'NoExecute', timeAdded: '2026-01-01T00:00:00Z' };
const made = Date.parse('2026-01-01T00:00:00Z');

function tainted(taints: readonly Taint[] = [ours], name = 'a'): TaintedNode {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: { taints } };
}

/** As `told` of mirror `name`, by an agent of its own; `shared`: by one of all mirrors. */
function by(name: string, told: NodeOfMirror, shared = false): NodeOfMirror {
  const { mirror: _hub, ...agent } = told.agent;
  const own = { ...agent, pod: `${name}-${told.node}`, mirror: name };
  return { ...told, agent: shared ? { ...agent, pod: `shared-${told.node}` } : own };
}

function removals(nodes: readonly TaintedNode[], mirrors: readonly TaintingMirror[], ms = 1_000) {
  const agents = mirrors.flatMap((mirror) => mirror.nodes.map(({ agent }) => agent));
  return planRemovals({ mirrors, agents, nodes, now: made + ms });
}

const mirror = (name: string, ...nodes: NodeOfMirror[]): TaintingMirror => ({ name, key, nodes });
const notYet = heard('a', { complete: false });

test('A taint goes when its node is wired, and is tested in the same patch', (t) => {
  t.deepEqual(removals([tainted([theirs, ours])], [mirror('hub', by('hub', heard('a')))]), [
    {
      node: 'a',
      keys: [key],
      patch: [
        { op: 'test', path: '/spec/taints/1', value: ours },
        { op: 'remove', path: '/spec/taints/1' },
      ],
    },
  ]);
});

test('A node that is not wired keeps it for two minutes from when its agent was made, whatever its agent says', (t) => {
  for (const state of [notYet, unheard('a'), unheard('a', 'unreachable')]) {
    const mirrors = [mirror('hub', by('hub', state))];
    t.is(removals([tainted()], mirrors, lateMs - 1).length, 0);
    t.is(removals([tainted()], mirrors, lateMs).length, 1);
  }
});

test('Of several mirrors that name it all that have an agent there must be done', (t) => {
  const hub = mirror('hub', by('hub', heard('a')));
  t.is(removals([tainted()], [hub, mirror('quay', by('quay', notYet))]).length, 0);
  t.is(removals([tainted()], [hub, mirror('quay', by('quay', heard('a')))]).length, 1);
  t.is(removals([tainted()], [hub, mirror('quay', by('quay', heard('b')))]).length, 1, 'not on this node');
  const other = { ...mirror('quay', by('quay', notYet)), key: 'example.com/other' };
  t.is(removals([tainted()], [hub, other]).length, 1, 'that names another taint');
});

test('A node without an agent is left alone: it may be a moment old', (t) => {
  t.is(removals([tainted()], [mirror('hub')], lateMs).length, 0);
});

test('An agent of all mirrors is done when all of them that it tells of are', (t) => {
  const hub = by('hub', heard('a'), true);
  t.is(removals([tainted()], [mirror('hub', hub), mirror('quay')]).length, 1);
  t.is(removals([tainted()], [mirror('hub', hub), mirror('quay', by('quay', notYet, true))]).length, 0);
  const { agent } = by('hub', unheard('a'), true);
  const silent = (ms: number) =>
    planRemovals({ mirrors: [mirror('hub')], agents: [agent], nodes: [tainted()], now: made + ms });
  t.is(silent(lateMs - 1).length, 0);
  t.is(silent(lateMs).length, 1);
});

test('Whatever other taints a node has, only ours go, with every effect', (t) => {
  const taint = fc.record({
    key: fc.constantFrom(key, 'other', 'third'),
    effect: fc.constantFrom('NoSchedule', 'NoExecute'),
  });
  fc.assert(
    fc.property(fc.array(taint), (taints) => {
      const [removal] = removals([tainted(taints)], [mirror('hub', by('hub', heard('a')))]);
      t.deepEqual(
        applied(taints, removal?.patch ?? []),
        taints.filter((one) => one.key !== key),
      );
    }),
  );
});

/** What the API server makes of a patch of taints. */
function applied(taints: readonly Taint[], patch: readonly object[]): readonly Taint[] {
  const left = [...taints];
  for (const { op, path, value } of patch as { op: string; path: string; value?: Taint }[]) {
    const index = Number(path.split('/').at(-1));
    if (op === 'remove') left.splice(index, 1);
    else if (JSON.stringify(left[index]) !== JSON.stringify(value)) throw new Error('test failed');
  }
  return left;
}
