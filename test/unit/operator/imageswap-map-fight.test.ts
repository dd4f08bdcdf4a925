import test from 'ava';
import type { KubeClient } from '../../../src/kube/client.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { reconcileMap } from '../../../src/operator/imageswap-map/reconcile.ts';
import { WritePace } from '../../../src/operator/write-pace.ts';
import { settingsOf } from '../resources/fixtures.ts';

test('with who puts another map back each time nobody fights', async (t) => {
  const written: unknown[] = [];
  const write = async (_type: unknown, object: unknown) => written.push(object);
  const client = { apply: write, create: write, update: write, patch: write } as unknown as KubeClient;
  const configMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'imageswap-maps', namespace: 'default', uid: 'u', resourceVersion: '1' },
    data: { maps: 'default:theirs.example\n' },
  };
  const options = {
    client,
    settings: settingsOf(),
    logger: createLogger({ level: 'silent' }),
    pace: new WritePace({ most: 10 }),
  };
  const reconcile = () => reconcileMap({ mirrors: [], services: [], configMap }, options);
  for (let at = 0; at < 10; at += 1) t.true(await reconcile());
  const error = await t.throwsAsync(reconcile(), { name: 'WaitingError' });
  t.is(error.message, 'ConfigMap imageswap-maps: somebody undoes each write of ours');
  t.is(written.length, 10);
});
