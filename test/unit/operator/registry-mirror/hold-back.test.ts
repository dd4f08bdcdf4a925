import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import {
  MirrorReconciler,
  type ReconcilerOptions,
} from '../../../../src/operator/registry-mirror/reconcile.ts';
import { settingsOf } from '../../resources/fixtures.ts';
import { viewsOfMirrors } from '../mirror-views.ts';

function stored(name: string, day: number, nodes: object = {}): KubeObject {
  const metadata = { name, uid: name, creationTimestamp: `2026-01-0${day}T00:00:00Z`, resourceVersion: '1' };
  const spec = { upstreamUrl: `${name}.example`, masqueradeUrl: 'same.example', nodes };
  return { apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', metadata, spec };
}

test('A mirror that is held back as it begins to choose its nodes is taken back by the shared agents that wired it', async (t) => {
  const views = viewsOfMirrors([stored('older', 1), stored('newer', 2, { nodeSelector: { pool: 'a' } })]);
  const told: string[] = [];
  const reconciler = new MirrorReconciler({
    client: { apply: async (_type: unknown, object: KubeObject) => object },
    settings: settingsOf({ NODE_DAEMONSETS: 'shared' }),
    views,
    events: { warning: async () => undefined },
    logger: createLogger({ level: 'silent' }),
    sharedNodes: {
      tell: (name: string, standing: unknown) => told.push(`${name} ${standing}`),
      daemonSet: () => undefined,
      wires: (name: string) => name === 'newer',
    },
  } as unknown as ReconcilerOptions);
  await reconciler.reconcile('newer', new AbortController().signal);
  t.deepEqual(told, ['newer taken back']);
});
