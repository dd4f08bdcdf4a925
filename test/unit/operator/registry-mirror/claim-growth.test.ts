import test from 'ava';
import type { KubeClient } from '../../../../src/kube/client.ts';
import { ApiError } from '../../../../src/kube/errors.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { ClaimGrowth } from '../../../../src/operator/registry-mirror/claim-growth.ts';

const signal = new AbortController().signal;
const growths = ['a', 'b'].map((name) => {
  const metadata = { name, namespace: 'n', uid: name };
  return { claim: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata }, storage: '30Gi' };
});

test('What was refused is asked again after ten minutes, and says when that is', async (t) => {
  const clock = { now: 1_000_000 };
  const asked: string[] = [];
  const patch = async (_type: unknown, { name }: { name: string }) => {
    asked.push(name);
    if (name === 'a')
      throw new ApiError('patch', 403, { reason: 'Forbidden', message: 'the class allows none' });
  };
  const client = { patch } as unknown as KubeClient;
  const growth = new ClaimGrowth(client, createLogger({ level: 'silent' }), () => clock.now);
  const first = await growth.grow(growths, signal);
  t.is(first.obstacles[0]?.reason, 'StorageCannotGrow');
  t.is(first.checkAt, 1_600_000);
  clock.now = 1_599_999;
  t.deepEqual(await growth.grow(growths.slice(0, 1), signal), first);
  t.deepEqual(asked, ['a', 'b']);
  clock.now = 1_600_000;
  t.is((await growth.grow(growths.slice(0, 1), signal)).checkAt, 2_200_000);
  t.deepEqual(await growth.grow(growths.slice(1), signal), { obstacles: [] });
});
