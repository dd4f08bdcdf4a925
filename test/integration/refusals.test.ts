/** What the upstream refuses for a moment takes no copy away, and stands for nobody once the upstream is away. Real nginx and broker. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../support/eventually.ts';
import { mirrorOf, startCache } from '../support/nginx.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';

const tag = '/v2/library/app/manifests/1';
const list = '/v2/library/app/tags/list';

/** A minute after its start nginx knows all that is on its disk, and looks there no more for what it has forgotten. */
const loadedMs = 62_000;

for (const refusal of [401, 403, 404]) {
  for (const [when, waitMs] of [
    ['', 0],
    [', also a minute after nginx has started', loadedMs],
  ] as const)
    test(`a ${refusal} in between leaves the copies for when the upstream is away${when}`, async (t) => {
      t.timeout(180_000);
      const { upstream, get } = await start(t);
      await delay(waitMs);
      const each = (check: (path: string) => Promise<void>) =>
        Promise.all([tag, list].map((path) => eventually(() => check(path))));
      const whole = new Map<string, Buffer>();
      await each(async (path) => {
        const { status, body } = await get(path);
        assert.equal(status, 200, path);
        whole.set(path, body);
      });
      upstream.faults = { status: refusal };
      await each(async (path) => assert.equal((await get(path)).status, refusal, path));
      upstream.faults = { status: 503 };
      await each(async (path) => {
        const { status, body, headers } = await get(path);
        assert.deepEqual([status, headers['x-cache-status']], [200, 'STALE'], path);
        assert.deepEqual(body, whole.get(path));
      });
      upstream.faults = {};
      await each(async (path) => assert.notEqual((await get(path)).headers['x-cache-status'], 'STALE', path));
      t.pass();
    });

  test(`a ${refusal} of what was never there is not told for an upstream that is away`, async (t) => {
    const { upstream, get } = await start(t);
    const digest = `sha256:${'ab'.repeat(32)}`;
    const objects = ['manifests/none', `manifests/${digest}`, `blobs/${digest}`, `referrers/${digest}`];
    // A 429 is heeded for its repository.
    const paths = objects.map((object, index) => `/v2/library/app${index}/${object}`);
    upstream.faults = { status: refusal };
    for (const path of paths) t.is((await get(path)).status, refusal, path);
    upstream.faults = { status: 429, retryAfter: '7' };
    for (const path of paths)
      await eventually(
        async () => {
          const { status, headers } = await get(path);
          assert.deepEqual([status, headers['retry-after']], [503, '7'], path);
        },
        { timeout: 12_000 },
      );
  });
}

async function start(t: ExecutionContext) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  upstream.addManifest('library/app', '1', { schemaVersion: 2, name: 'app' });
  const cache = await startCache(t, [mirrorOf(upstream, { tagTtlSeconds: 1 })]);
  return { upstream, get: (path: string) => cache.get(path) };
}
