import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import { SharedNodes, type SharedNodesOptions } from '../../../../src/operator/shared-nodes/shared-nodes.ts';
import type { Views } from '../../../../src/operator/views.ts';
import { settingsOf } from '../../resources/fixtures.ts';

/** An operator that sees no mirror, and what it has written. */
function scene(environment: Record<string, string>, mirrorsKnown: boolean) {
  const types = ['mirrors', 'secrets', 'daemonSets'];
  const views = Object.fromEntries(types.map((type) => [type, new LiveView(new Store())]));
  const written: string[] = [];
  const write = async (_type: unknown, object: KubeObject) => {
    written.push(`${object.kind} ${object.metadata.name}`);
    return object;
  };
  const sharedNodes = new SharedNodes({
    client: { create: write, apply: write },
    settings: settingsOf(environment),
    views: views as unknown as Views,
    logger: createLogger({ level: 'silent' }),
    changed: () => undefined,
    mirrorsKnown: () => mirrorsKnown,
  } as unknown as SharedNodesOptions);
  return { written, reconcile: () => sharedNodes.reconcile(new AbortController().signal) };
}

test('While the API server does not know the kind of mirrors, no agent is told that there are none', async (t) => {
  for (const NODE_DAEMONSETS of ['shared', 'perMirror']) {
    const { written, reconcile } = scene({ NODE_DAEMONSETS }, false);
    const afterMs = await reconcile();
    t.deepEqual(written, []);
    t.true(afterMs !== undefined && afterMs <= 10_000, 'and it is looked at again');
  }
});

test('A cluster that has no mirror has agents that are told so', async (t) => {
  const { written, reconcile } = scene({ NODE_DAEMONSETS: 'shared' }, true);
  await reconcile();
  t.deepEqual(written, [
    'Secret registry-mirror-ca',
    'Secret registry-mirror-nodes',
    'DaemonSet registry-mirror-nodes',
  ]);
});
