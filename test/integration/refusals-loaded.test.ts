/**
 * What the upstream refuses for a moment takes no copy away, also once nginx knows all that is on its disk: a minute after its start it looks there no
 * more for what it has forgotten.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { eventually } from '../support/eventually.ts';
import { mirrorOf, startCache } from '../support/nginx.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';

const loaderMs = 60_000;

test('what was refused once is served as it was when the upstream is away afterwards', async (t) => {
  t.timeout(180_000);
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const statuses = [401, 403, 404];
  for (const status of statuses)
    upstream.addManifest(`library/app${status}`, '1', { schemaVersion: 2, name: `app${status}` });
  const cache = await startCache(t, [mirrorOf(upstream, { tagTtlSeconds: 1 })]);
  await delay(loaderMs + 2_000);
  for (const status of statuses) {
    upstream.faults = {};
    const whole = new Map<string, Buffer>();
    const each = (check: (path: string) => Promise<void>) =>
      Promise.all(
        ['manifests/1', 'tags/list'].map((object) =>
          eventually(() => check(`/v2/library/app${status}/${object}`)),
        ),
      );
    await each(async (path) => {
      const received = await cache.get(path);
      assert.equal(received.status, 200);
      whole.set(path, received.body);
    });
    upstream.faults = { status };
    await each(async (path) => assert.equal((await cache.get(path)).status, status, path));
    upstream.faults = { status: 503 };
    await each(async (path) => {
      const received = await cache.get(path);
      assert.deepEqual([received.status, received.headers['x-cache-status']], [200, 'STALE'], path);
      assert.deepEqual(received.body, whole.get(path));
    });
  }
  t.pass();
});
