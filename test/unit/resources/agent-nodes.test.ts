import test from 'ava';
import type { Term } from '../../../src/operator/registry-mirror/placement.ts';
import type { KubernetesObject } from '../../../src/resources/object.ts';
import { restoreDaemonSet as leavingDaemonSet } from '../../../src/resources/restore-daemon-set.ts';
import { sharedDaemonSet } from '../../../src/resources/shared-nodes.ts';
import { type PodPlacement, selects } from '../../support/node-selector.ts';
import { allObjects, mirrorOf, restoreDaemonSet, settingsOf } from './fixtures.ts';

const linux = { 'kubernetes.io/os': 'linux' };
const all = [
  { name: 'plain', labels: linux },
  { name: 'pool-a', labels: { ...linux, pool: 'a' } },
  { name: 'managed', labels: { ...linux, 'eks.amazonaws.com/compute-type': 'ec2', type: 'worker' } },
  { name: 'fargate', labels: { ...linux, pool: 'a', 'eks.amazonaws.com/compute-type': 'fargate' } },
  { name: 'virtual', labels: { ...linux, pool: 'a', type: 'virtual-kubelet' } },
];
const settings = settingsOf();
const input = (nodes: object = {}) => ({ mirror: mirrorOf({ upstreamUrl: 'docker.io', nodes }), settings });

/** The nodes on which the DaemonSet has pods. */
function nodesOf(object: KubernetesObject): string[] {
  const { template } = object['spec'] as { template: { spec: PodPlacement } };
  return all.filter((node) => selects(template.spec, node)).map(({ name }) => name);
}

function wiring(nodes?: object): KubernetesObject {
  return allObjects(input(nodes)).find(({ kind }) => kind === 'DaemonSet')!;
}

function required(...nodeSelectorTerms: Term[]): object {
  return { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } };
}

const inPool = { matchExpressions: [{ key: 'pool', operator: 'In', values: ['a'] }] };

test('agents are made for no node of Fargate or of a virtual kubelet', (t) => {
  const shared = sharedDaemonSet(
    settings,
    { listed: [], others: [], gone: [] },
    { authority: null, startupTaints: [] },
  );
  for (const set of [shared, wiring(), restoreDaemonSet(input())])
    t.deepEqual(nodesOf(set), ['plain', 'pool-a', 'managed']);
  t.deepEqual(nodesOf(wiring({ nodeSelector: { pool: 'a' } })), ['pool-a']);
});

test('who names an affinity has agents where it says; a restore looks at every node that can run one', (t) => {
  const nodes = { affinity: required(inPool) };
  t.deepEqual(nodesOf(wiring(nodes)), ['pool-a', 'fargate', 'virtual']);
  t.deepEqual(nodesOf(restoreDaemonSet(input(nodes))), ['plain', 'pool-a', 'managed']);
});

test('nodes that left the selection are restored where they can run an agent, whichever term names them', (t) => {
  const byName = (value: string) => ({
    matchFields: [{ key: 'metadata.name', operator: 'In', values: [value] }],
  });
  const terms = [inPool, byName('plain'), byName('fargate'), byName('virtual')];
  t.deepEqual(nodesOf(leavingDaemonSet(input(), terms)), ['plain', 'pool-a']);
});
