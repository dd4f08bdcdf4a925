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

/** The phase of a mirror that the shared agents have taken on, or not; `ended` are the names of what it deleted. */
function phaseOf(options: { clock: { now: number }; heard: boolean; nodes?: number; ready?: number }) {
  const { clock, heard, nodes = 1, ready = nodes } = options;
  const ended: string[] = [];
  const status = {
    observedGeneration: 1,
    desiredNumberScheduled: nodes,
    updatedNumberScheduled: nodes,
    numberReady: ready,
  };
  const metadata = { name: 'shared', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' };
  const phase = new SharedPhase({
    sharedNodes: { tell: () => undefined, daemonSet: () => ({ metadata, status }) as LiveDaemonSet },
    nodeReports: { of: () => (heard ? Array(ready).fill({ agent: {}, state: 'heard' }) : []) },
    applier: { delete: async (object: KubeObject) => ended.push(object.metadata.name) },
    now: () => new Date(clock.now),
  } as unknown as SharedPhaseOptions);
  const inputs = {
    ...{
      mirror: mirrorOf({ upstreamUrl: 'm.example' }, { uid: 'uid-of-hub' }),
      settings: settingsOf({ NODE_DAEMONSETS: 'shared' }),
    },
    ...{ clusterIPs: ['10.96.0.10'], nodePort: 29_001, trustBundle: 'CA' },
  } as never;
  const wire = (own: Partial<KubeObject['metadata']>) => {
    const daemonSet = { metadata: { name: 'own', ...own } } as unknown as LiveDaemonSet;
    return phase.wire(inputs, { claims: [], daemonSet }, new AbortController().signal);
  };
  return { wire, ended };
}

test('The DaemonSet of an earlier operator ends too; nobody else’s of that name does', async (t) => {
  const { wire, ended } = phaseOf({ clock: { now: Date.parse('2026-01-02T00:00:00Z') }, heard: true });
  const managedFields = [{ manager: 'OpenAPI-Generator', operation: 'Update', fieldsV1: { 'f:spec': {} } }];
  const owner = { apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', name: 'hub' };
  await wire({ managedFields, ownerReferences: [{ ...owner, uid: 'another' }] } as never);
  await wire({ managedFields } as never);
  t.deepEqual(ended, []);
  await wire({ managedFields, ownerReferences: [{ ...owner, uid: 'uid-of-hub' }] } as never);
  t.deepEqual(ended, ['own'], 'its containers would go on writing to the nodes');
});

test('Agents of its own end once the shared ones know the mirror, however long there are shared ones', async (t) => {
  const clock = { now: Date.parse('2026-01-02T00:00:00Z') };
  const { wire: wireOwn, ended } = phaseOf({ clock, heard: false });
  const wire = () => wireOwn({ managedFields: ownManager } as never);
  t.is(await wire(), clock.now + 30_000, 'that the shared ones are ready is no event of this mirror');
  t.deepEqual(ended, [], 'nobody else wires it yet');
  clock.now += 299_000;
  await wire();
  t.deepEqual(ended, []);
  clock.now += 1_000;
  await wire();
  t.deepEqual(ended, ['own'], 'a node that says nothing is not waited for for ever');
});

test('A shared agent that does not come up keeps the others waiting for five minutes; where many do not, those of its own stay', async (t) => {
  for (const [scene, wanted] of [
    [{ heard: true, nodes: 3, ready: 2 }, ['own']],
    [{ heard: true, nodes: 100, ready: 90 }, ['own']],
    [{ heard: true, nodes: 100, ready: 89 }, []],
    [{ heard: true, nodes: 3, ready: 1 }, []],
    [{ heard: true, nodes: 1, ready: 0 }, []],
    [{ heard: false, nodes: 3, ready: 2 }, []],
    [{ heard: true, nodes: 3, ready: 0 }, []],
  ] as const) {
    const clock = { now: Date.parse('2026-01-02T00:00:00Z') };
    const { wire: wireOwn, ended } = phaseOf({ clock, ...scene });
    const wire = () => wireOwn({ managedFields: ownManager } as never);
    await wire();
    clock.now += 299_000;
    await wire();
    t.deepEqual(ended, []);
    clock.now += 1_000;
    await wire();
    t.deepEqual(ended, wanted, JSON.stringify(scene));
  }
});
