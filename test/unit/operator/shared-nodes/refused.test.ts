import test from 'ava';
import { ApiError } from '../../../../src/kube/errors.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import {
  MirrorReconciler,
  type ReconcilerOptions,
} from '../../../../src/operator/registry-mirror/reconcile.ts';
import type { StoredMirror } from '../../../../src/operator/registry-mirror/status.ts';
import { SharedNodes, type SharedNodesOptions } from '../../../../src/operator/shared-nodes/shared-nodes.ts';
import { settingsOf } from '../../resources/fixtures.ts';
import { viewsOfMirrors } from '../mirror-views.ts';

const { signal } = new AbortController();
const logger = createLogger({ level: 'silent' });

const hub = {
  apiVersion: 'k8s.osp.tech/v1',
  kind: 'RegistryMirror',
  metadata: { name: 'hub', uid: 'hub', resourceVersion: '1' },
  spec: { upstreamUrl: 'docker.io' },
};

/** One mirror, and an API server that takes everything but, while `refuses`, DaemonSets: a policy forbids the host's network. */
function scene() {
  const policy = { refuses: true };
  let version = 1;
  const views = viewsOfMirrors([hub]);
  const statuses: NonNullable<StoredMirror['status']>[] = [];
  const write = async (_type: unknown, object: KubeObject) => {
    if (object.kind === 'DaemonSet' && policy.refuses)
      throw new ApiError('PATCH /daemonsets/registry-mirror-nodes', 403, { message: 'no host network' });
    const { status, metadata } = object as StoredMirror;
    if (status) statuses.push(status);
    version += 1;
    const clusterIPs = object.kind === 'Service' ? ['10.0.0.7'] : undefined;
    const known = metadata.name === hub.metadata.name ? hub : undefined;
    return {
      ...known,
      ...object,
      spec: { ...(object['spec'] ?? known?.spec ?? {}), ...(clusterIPs && { clusterIPs }) },
      metadata: { ...metadata, uid: metadata.name, resourceVersion: `${version}` },
    };
  };
  const client = { create: write, apply: write, getOrUndefined: async () => undefined };
  const shared = { client, settings: settingsOf({ NODE_DAEMONSETS: 'shared' }), views, logger };
  const told = { times: 0 };
  const sharedNodes = new SharedNodes({
    ...shared,
    changed: () => undefined,
    mirrorsKnown: () => true,
    obstaclesChanged: () => (told.times += 1),
  } as unknown as SharedNodesOptions);
  const reconciler = new MirrorReconciler({
    ...shared,
    events: { warning: async () => undefined },
    sharedNodes,
  } as unknown as ReconcilerOptions);
  const stalled = async () => {
    await reconciler.reconcile('hub', signal);
    return statuses.at(-1)?.conditions?.find(({ type }) => type === 'Stalled');
  };
  return { policy, sharedNodes, stalled, told };
}

test('That the agents of all mirrors are refused stalls each of them, until they are not', async (t) => {
  const { policy, sharedNodes, stalled, told } = scene();
  for (const _ of [1, 2]) await t.throwsAsync(sharedNodes.reconcile(signal), { name: 'ApiError' });
  t.is(told.times, 1, 'each mirror is to be looked at once for it');
  t.like(await stalled(), { status: 'True', reason: 'ObjectForbidden' });
  t.regex((await stalled())?.message ?? '', /no host network/);
  policy.refuses = false;
  await sharedNodes.reconcile(signal);
  t.is(told.times, 2);
  t.like(await stalled(), { status: 'False', reason: 'Working' });
});
