import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import type { LiveDaemonSet } from '../../../../src/operator/registry-mirror/live-objects.ts';
import {
  SharedPhase,
  type SharedPhaseOptions,
} from '../../../../src/operator/registry-mirror/shared-phase.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const ownManager = [
  { manager: 'registry-mirror-operator', operation: 'Apply', fieldsV1: { 'f:spec': {} } },
] as const;

test('Agents of its own end once the shared ones know the mirror, however long there are shared ones', async (t) => {
  const clock = { now: Date.parse('2026-01-02T00:00:00Z') };
  const ended: string[] = [];
  const status = {
    observedGeneration: 1,
    desiredNumberScheduled: 1,
    updatedNumberScheduled: 1,
    numberReady: 1,
  };
  const metadata = { name: 'shared', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' };
  const phase = new SharedPhase({
    sharedNodes: { tell: () => undefined, daemonSet: () => ({ metadata, status }) as LiveDaemonSet },
    nodeReports: { of: () => [] },
    applier: { delete: async (object: KubeObject) => ended.push(object.metadata.name) },
    now: () => new Date(clock.now),
  } as unknown as SharedPhaseOptions);
  const inputs = {
    ...{
      mirror: mirrorOf({ upstreamUrl: 'm.example' }),
      settings: settingsOf({ NODE_DAEMONSETS: 'shared' }),
    },
    ...{ clusterIPs: ['10.96.0.10'], nodePort: 29_001, trustBundle: 'CA' },
  } as never;
  const daemonSet = { metadata: { name: 'own', managedFields: ownManager } } as unknown as LiveDaemonSet;
  const wire = () => phase.wire(inputs, { claims: [], daemonSet }, new AbortController().signal);
  t.is(await wire(), clock.now + 30_000, 'that the shared ones are ready is no event of this mirror');
  t.deepEqual(ended, [], 'nobody else wires it yet');
  clock.now += 299_000;
  await wire();
  t.deepEqual(ended, []);
  clock.now += 1_000;
  await wire();
  t.deepEqual(ended, ['own'], 'a node that says nothing is not waited for for ever');
});
