import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import { Finalizer, type FinalizerOptions } from '../../../../src/operator/registry-mirror/finalize.ts';
import type { LiveDaemonSet } from '../../../../src/operator/registry-mirror/live-objects.ts';
import { sinceAnnotation } from '../../../../src/operator/registry-mirror/restoration.ts';
import type { StoredMirror } from '../../../../src/operator/registry-mirror/status.ts';
import { mirrorIndex, type Views } from '../../../../src/operator/views.ts';
import { settingsOf } from '../../resources/fixtures.ts';

const deletionTimestamp = '2026-01-01T00:00:00Z';

type Holding = ReturnType<NonNullable<FinalizerOptions['nodeReports']>['holding']>;

interface Scene {
  readonly nodeDaemonSets: 'shared' | 'perMirror';
  /** Nodes on which there is to be a shared agent. */
  readonly nodes: number;
  readonly holding: Holding;
  /** As it is stored. */
  readonly status?: object;
  /** What the agents' list has of it. */
  readonly list?: 'listed' | 'left' | 'never';
  /** Since when agents of its own restore, by their DaemonSet. */
  readonly restoringSince?: string;
  /** Since when its own DaemonSet is being deleted in the foreground. */
  readonly endingSince?: string;
  /** Of its spec. */
  readonly ownNodes?: object;
  /** Milliseconds by which the operator's clock is ahead of the deletion, at each look; time goes on by a minute between two. */
  readonly looks?: readonly number[];
}

/** A mirror that was wired by shared agents and is deleted; returns what became of it. */
async function finalized(scene: Scene) {
  const { nodeDaemonSets, nodes, holding, status: stands, list = 'left', restoringSince, ownNodes } = scene;
  const { looks = [1_000], endingSince } = scene;
  const clock = { ahead: 0, elapsed: 0 };
  const view = () => new LiveView(new Store({ indexes: { [mirrorIndex]: () => [] } }));
  const types = [
    'mirrors',
    'services',
    'secrets',
    'statefulSets',
    'disruptionBudgets',
    'claims',
    'endpointSlices',
  ];
  const sets = new Store();
  const views = {
    ...Object.fromEntries(types.map((type) => [type, view()])),
    daemonSets: new LiveView(sets),
  } as unknown as Views;
  const applied: string[] = [];
  const restoring: (string | undefined)[] = [];
  const letGo: string[] = [];
  if (restoringSince !== undefined) {
    const annotations = { [sinceAnnotation]: restoringSince };
    const metadata = {
      name: 'registry-mirror-m-utils',
      namespace: 'default',
      resourceVersion: '1',
      annotations,
    };
    sets.put({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata });
  }
  if (endingSince !== undefined) {
    const [name, namespace, uid] = ['registry-mirror-m-utils', 'default', 'd'];
    const finalizers = ['foregroundDeletion'];
    const metadata = {
      name,
      namespace,
      uid,
      resourceVersion: '1',
      deletionTimestamp: endingSince,
      finalizers,
    };
    sets.put({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata });
  }
  const status = { desiredNumberScheduled: nodes, observedGeneration: 1 };
  const shared = { metadata: { name: 'registry-mirror-nodes', generation: 1 }, status } as LiveDaemonSet;
  const finalizer = new Finalizer({
    client: {
      patch: async (_type: unknown, { name }: { name: string }) => letGo.push(name),
      list: async () => ({ items: [] }),
      listAll: async () => ({ items: [] }),
    },
    settings: settingsOf({ NODE_DAEMONSETS: nodeDaemonSets }),
    views,
    events: { warning: async () => undefined },
    logger: createLogger({ level: 'silent' }),
    applier: {
      apply: async (object: KubeObject) => {
        applied.push(object.metadata.name);
        restoring.push(object.metadata.annotations?.[sinceAnnotation]);
        return object;
      },
    },
    reporter: { report: async () => undefined },
    nodeReports: { holding: () => holding },
    sharedNodes: {
      daemonSet: () => shared,
      wires: () => list === 'listed',
      takesBack: () => list === 'left',
      leftSince: () => (list === 'left' ? 7 : undefined),
    },
    now: () => new Date(Date.parse(deletionTimestamp) + clock.ahead),
    elapsed: () => clock.elapsed,
  } as unknown as FinalizerOptions);
  const stored = {
    apiVersion: 'k8s.osp.tech/v1',
    kind: 'RegistryMirror',
    metadata: { name: 'm', uid: 'u', finalizers: ['k8s.osp.tech/undo-nodes'], deletionTimestamp },
    spec: { upstreamUrl: 'm.example', ...(ownNodes && { nodes: ownNodes }) },
    ...(stands && { status: stands }),
  } as unknown as StoredMirror;
  for (const ahead of looks) {
    Object.assign(clock, { ahead, elapsed: clock.elapsed + 60_000 });
    if (letGo.length === 0) await finalizer.finalize(stored, new AbortController().signal);
  }
  return { applied, letGo, restoring };
}

test('A mirror of shared agents is let go once all of them have said that nothing of it is left', async (t) => {
  const nodeDaemonSets = 'shared';
  const all = { nodes: [], of: 2 };
  t.deepEqual((await finalized({ nodeDaemonSets, nodes: 2, holding: all })).letGo, ['m']);
  t.deepEqual((await finalized({ nodeDaemonSets, nodes: 0, holding: { nodes: [], of: 0 } })).letGo, ['m']);
  t.deepEqual((await finalized({ nodeDaemonSets, nodes: 3, holding: all })).letGo, [], 'one is replaced');
  t.deepEqual((await finalized({ nodeDaemonSets, nodes: 2, holding: undefined })).letGo, []);
  const unsaid = { nodeDaemonSets, nodes: 2, holding: all, list: 'listed' } as const;
  t.deepEqual((await finalized(unsaid)).letGo, [], 'no list says yet that it is gone');
});

test('A mirror is let go after five minutes, also by a clock that is behind', async (t) => {
  const minute = 60_000;
  const scene = { nodeDaemonSets: 'shared', nodes: 2, holding: { nodes: ['a'], of: 2 } } as const;
  const behind = (times: number) => Array.from({ length: times }, (_, look) => (look - 600) * minute);
  t.deepEqual((await finalized({ ...scene, looks: [minute, 4 * minute] })).letGo, []);
  t.deepEqual((await finalized({ ...scene, looks: [5 * minute] })).letGo, ['m']);
  t.deepEqual((await finalized({ ...scene, looks: behind(5) })).letGo, []);
  t.deepEqual((await finalized({ ...scene, looks: behind(6) })).letGo, ['m']);
});

test('Shared agents are asked also where the status names no nodes: one that was written between list and deletion does not', async (t) => {
  const conditions = [{ type: 'NodesWired', status: 'Unknown', reason: 'NotCreated' }];
  const scene = {
    nodeDaemonSets: 'shared',
    nodes: 2,
    status: { observedGeneration: 1, conditions },
  } as const;
  t.deepEqual((await finalized({ ...scene, holding: { nodes: ['a'], of: 2 } })).letGo, []);
  t.deepEqual((await finalized({ ...scene, holding: { nodes: [], of: 2 } })).letGo, ['m']);
});

test('A mirror that shared agents were never told of waits for none of them', async (t) => {
  const conditions = [{ type: 'Stalled', status: 'True', reason: 'InvalidSpec' }];
  const scene = { nodeDaemonSets: 'shared', nodes: 2, list: 'never' } as const;
  const holding = { nodes: ['a'], of: 2 };
  const status = { observedGeneration: 1, conditions };
  t.deepEqual((await finalized({ ...scene, holding, status })).letGo, ['m']);
  t.deepEqual((await finalized({ ...scene, holding })).letGo, [], 'no pass has said what came of it');
});

test('A mirror with agents of its own is taken back by such, also where the garbage collector was faster', async (t) => {
  const holding = { nodes: [], of: 2 };
  const status = { observedGeneration: 1, nodes: '1/1' };
  const ownNodes = { nodeSelector: { pool: 'gpu' } };
  const scene = { nodeDaemonSets: 'shared', nodes: 2, list: 'never', holding, status, ownNodes } as const;
  const { applied, letGo } = await finalized(scene);
  t.deepEqual(applied, ['registry-mirror-m-utils']);
  t.deepEqual(letGo, []);
  const moved = await finalized({ ...scene, list: 'listed', holding: undefined });
  t.deepEqual([moved.applied, moved.letGo], [[], []], 'shared agents have not let it go yet');
  const refused = await finalized({ ...scene, list: 'left' });
  t.deepEqual([refused.applied, refused.letGo], [[], ['m']], 'there were none of its own');
});

test('Shared agents that are about to go take nothing back: its nodes get agents that do', async (t) => {
  const scene = { nodeDaemonSets: 'perMirror', nodes: 2, holding: { nodes: [], of: 0 } } as const;
  const { applied, letGo } = await finalized(scene);
  t.deepEqual(applied, ['registry-mirror-m-utils']);
  t.deepEqual(letGo, []);
});

test('Restoring that began in the future, because the clock was set back, or nobody knows when, begins now', async (t) => {
  const scene = { nodeDaemonSets: 'perMirror', nodes: 2, holding: undefined } as const;
  const since = async (restoringSince: string) => {
    const { restoring, letGo } = await finalized({ ...scene, restoringSince });
    t.deepEqual(letGo, []);
    return restoring[0];
  };
  t.is(await since('2026-01-01T00:00:00.500Z'), '2026-01-01T00:00:00.500Z');
  t.is(await since('2026-01-01T01:00:00.000Z'), '2026-01-01T00:00:01.000Z');
  t.is(await since('yesterday'), '2026-01-01T00:00:01.000Z');
});

test('Agents that are being deleted in the foreground are let go without their pods after a while, and the mirror in any case', async (t) => {
  const ending = {
    nodeDaemonSets: 'perMirror',
    nodes: 1,
    holding: undefined,
    status: { nodes: '1/1' },
  } as const;
  const { letGo: none } = await finalized({ ...ending, endingSince: deletionTimestamp, looks: [1_000] });
  t.deepEqual(none, []);
  const { letGo } = await finalized({ ...ending, endingSince: deletionTimestamp, looks: [50_000] });
  t.deepEqual(letGo, ['registry-mirror-m-utils']);
  const late = await finalized({ ...ending, endingSince: deletionTimestamp, looks: [300_000] });
  t.deepEqual(late.letGo, ['m'], 'another finalizer may hold them for ever');
});
