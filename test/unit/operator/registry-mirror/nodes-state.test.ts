import test from 'ava';
import type { NodeOfMirror } from '../../../../src/operator/node-reports/known-agents.ts';
import type { LiveDaemonSet } from '../../../../src/operator/registry-mirror/live-objects.ts';
import { nodesState } from '../../../../src/operator/registry-mirror/nodes-state.ts';

/** Of two nodes, whose pods are ready. */
const daemonSet: LiveDaemonSet = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'registry-mirror-nodes', namespace: 'default', generation: 1 },
  status: { observedGeneration: 1, desiredNumberScheduled: 2, numberReady: 2, updatedNumberScheduled: 2 },
};
const facts = { live: { daemonSet, claims: [] }, wire: 'transparent', stored: undefined } as const;

/** Agents that have not told of the mirror; of today they have an endpoint, at which they can be asked. */
function silent(agent: object): NodeOfMirror[] {
  return ['a', 'b'].map((node) => ({ node, agent, state: 'unheard' }) as NodeOfMirror);
}

test('Ready agents that have not told of a mirror do not wire it', (t) => {
  const { finding, nodes } = nodesState({ ...facts, told: silent({ endpoint: {} }) });
  t.is(`${finding.status} ${finding.reason}`, 'False NodesNotReady');
  t.is(finding.message, '0/2 nodes wired; 2 x no report yet');
  t.is(nodes, '0/2');
});

test('Of agents that cannot be asked, their pods tell', (t) => {
  for (const told of [[], silent({}), undefined] as const)
    t.is(nodesState({ ...facts, told }).finding.message, '2 of 2 nodes are wired');
});

test('An operator that has asked nobody yet believes what is stored, and nothing else', (t) => {
  const { status, reason } = nodesState({ ...facts, told: 'unasked' }).finding;
  t.is(`${status} ${reason}`, 'Unknown NotAsked');
  const condition = { type: 'NodesWired', status: 'False', reason: 'NodesNotWired', message: '1/2' } as const;
  const conditions = [{ ...condition, lastTransitionTime: '2026-01-01T00:00:00Z' }];
  const state = nodesState({ ...facts, told: 'unasked', stored: { conditions, nodes: '1/2' } });
  t.like(state, { finding: { status: 'False', message: '1/2' }, nodes: '1/2' });
});
