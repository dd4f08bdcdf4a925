/** Blobs that came in slices are compared with their digests afterwards. Real nginx, an upstream that corrupts a byte. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { StoreMirrorReport, StoreReport } from '../../src/cache/broker/store/store-report.ts';
import { removeTornFiles } from '../../src/cache/broker/store/torn-files.ts';
import { brokerSocket } from '../../src/cache/cache-config.ts';
import { ask } from '../support/broker.ts';
import { eventually } from '../support/eventually.ts';
import { digestOf, randomBytes } from '../support/images.ts';
import { mirrorOf, startCache, type TestCache } from '../support/nginx.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';

const slice = 256 * 1024;

async function start(t: ExecutionContext) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const cache = await startCache(t, [mirrorOf(upstream)], { sliceSizeKiB: slice / 1024 });
  return { upstream, cache };
}

async function scrubbed(cache: TestCache): Promise<StoreMirrorReport['scrub']> {
  const { body } = await ask(brokerSocket(cache.config.paths), '/-/store');
  return (JSON.parse(body.toString()) as StoreReport).mirrors[0]!.scrub;
}

function cachedFiles(cache: TestCache): number {
  return cachedPaths(cache).length;
}

function cachedPaths(cache: TestCache): string[] {
  const { cacheDir } = cache.config.mirrors[0]!;
  const names = readdirSync(cacheDir, { recursive: true }).map(String);
  return names.filter((name) => /[0-9a-f]{32}$/.test(name)).map((name) => join(cacheDir, name));
}

test('a blob with a wrong byte in its second slice is removed within seconds, and is exact once the upstream is', async (t) => {
  const { upstream, cache } = await start(t);
  const digest = upstream.addBlob(randomBytes('corrupt', 3 * slice));
  const path = `/v2/app/blobs/${digest}`;
  upstream.faults = { corrupt: true };
  t.not(digestOf((await cache.get(path)).body), digest);
  t.is(cachedFiles(cache), 3);
  upstream.faults = {};
  const counts = await eventually(async () => {
    const seen = await scrubbed(cache);
    assert.equal(seen.corrupt, 1);
    return seen;
  });
  t.is(counts.checked, 1);
  t.is(counts.lastCorrupt?.digest, digest);
  t.is(cachedFiles(cache), 0);
  const { body, headers } = await cache.get(path);
  t.is(digestOf(body), digest);
  t.is(headers['x-cache-status'], 'MISS');
});

test('sound blobs stay; one that fits into a slice was verified on its way; a blob with a slice missing waits', async (t) => {
  const { upstream, cache } = await start(t);
  const [sound, small, partial] = ['sound', 'small', 'partial'].map((seed, index) =>
    upstream.addBlob(randomBytes(seed, [3 * slice + 1, slice, 3 * slice][index]!)),
  );
  for (const digest of [sound, small]) await cache.get(`/v2/app/blobs/${digest}`);
  await cache.get(`/v2/app/blobs/${partial}`, { headers: { Range: `bytes=${slice}-${slice + 1}` } });
  const counts = await eventually(async () => {
    const seen = await scrubbed(cache);
    assert.equal(seen.checked, 1);
    return seen;
  });
  t.is(counts.bytes, 3 * slice + 1);
  t.is(counts.corrupt, 0);
  t.is(cachedFiles(cache), 6);
});

/** A cache with a corrupt blob that came in slices, and a small one; the broker was ended before it could verify it, and started again. */
async function restarted(t: ExecutionContext) {
  const { upstream, cache } = await start(t);
  const digest = upstream.addBlob(randomBytes('before', 3 * slice));
  const small = upstream.addBlob(randomBytes('small before', 100));
  upstream.faults = { corrupt: true };
  await cache.get(`/v2/app/blobs/${digest}`);
  upstream.faults = {};
  await cache.get(`/v2/app/blobs/${small}`);
  await cache.stopBroker();
  return { cache, mark: join(cache.config.paths.brokerDir, 'unverified-since') };
}

test('what a broker that ended had not verified the next one verifies, and nothing else', async (t) => {
  const { cache, mark } = await restarted(t);
  t.true(existsSync(mark));
  await cache.startBroker();
  await eventually(async () => {
    const { checked, corrupt } = await scrubbed(cache);
    assert.deepEqual({ checked, corrupt }, { checked: 2, corrupt: 1 });
  });
  await eventually(() => assert.ok(!existsSync(mark)));
  t.is(cachedFiles(cache), 1);
  await cache.stopBroker();
  await cache.startBroker();
  await delay(2_500);
  t.is((await scrubbed(cache)).checked, 0, 'all is verified');
});

test('everything that lies in a cache is verified on request, also what came before the start', async (t) => {
  const { cache, mark } = await restarted(t);
  rmSync(mark);
  await cache.startBroker();
  const order = (mirror: string) =>
    ask(brokerSocket(cache.config.paths), '/-/scrub', {}, 'POST', JSON.stringify({ mirror }));
  t.deepEqual(JSON.parse((await order('m')).body.toString()), { queued: 2 });
  t.is((await order('other')).status, 404);
  await eventually(async () => {
    const { checked, corrupt } = await scrubbed(cache);
    assert.deepEqual({ checked, corrupt }, { checked: 2, corrupt: 1 });
  });
  t.is(cachedFiles(cache), 1);
});

test('what was cut short on the disk when the machine ended is fetched anew; what is whole stays', async (t) => {
  const { upstream, cache } = await start(t);
  const blob = upstream.addBlob(randomBytes('torn', 3 * slice));
  const small = upstream.addBlob(randomBytes('torn small', 1000));
  const manifest = upstream.addManifest('app', 'v1', { schemaVersion: 2, layers: [] });
  const torn = [`blobs/${blob}`, `blobs/${small}`, `manifests/${manifest}`];
  for (const path of torn) await cache.get(`/v2/app/${path}`);
  await cache.stopBroker();
  for (const path of cachedPaths(cache)) truncateSync(path, statSync(path).size - 20);
  await cache.startBroker();
  const sound = upstream.addBlob(randomBytes('sound', slice + 1));
  await cache.get(`/v2/app/blobs/${sound}`);
  await cache.get('/v2/app/manifests/v1', { method: 'HEAD' });
  await eventually(() => assert.equal(cachedFiles(cache), 3));
  for (const path of torn) {
    const { body, headers } = await cache.get(`/v2/app/${path}`);
    t.is(digestOf(body), path.split('/')[1]!);
    t.is(headers['x-cache-status'], 'MISS');
  }
  t.is(await removeTornFiles(cache.config.mirrors[0]!.cacheDir, new AbortController().signal), 0);
  t.is(cachedFiles(cache), 8);
});
