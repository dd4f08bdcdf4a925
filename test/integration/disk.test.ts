/** Must hold: the disk is bounded, and a volume that is full or read-only costs no request. Real nginx on a real small file system. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import type { StoreReport } from '../../src/cache/broker/store/store-report.ts';
import { brokerSocket } from '../../src/cache/cache-config.ts';
import { ask } from '../support/broker.ts';
import { eventually } from '../support/eventually.ts';
import { digestOf, randomBytes } from '../support/images.ts';
import { mirrorOf, startCache, type TestCache } from '../support/nginx.ts';
import { type ScriptableUpstream, startScriptableUpstream } from '../support/scriptable-upstream.ts';
import { mountSmallVolume, type SmallVolume } from '../support/small-volume.ts';

const mib = 2 ** 20;
const volumeMiB = 64;
/** 80 % of the volume, as of a claim. */
const maxSizeMiB = 51;
const floorBytes = (volumeMiB / 8) * mib;

interface World {
  readonly cache: TestCache;
  readonly upstream: ScriptableUpstream;
  readonly volume: SmallVolume;
  readonly dir: string;
  readonly report: () => Promise<StoreReport>;
}

async function start(t: ExecutionContext): Promise<World> {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const mounted = Promise.withResolvers<{ volume: SmallVolume; dir: string }>();
  const prepareData = (dir: string) => mounted.resolve({ volume: mountSmallVolume(t, dir, volumeMiB), dir });
  const mirror = mirrorOf(upstream, { maxSizeMiB });
  const cache = await startCache(t, [mirror], { sliceSizeKiB: 1024 }, { prepareData });
  const report = async () =>
    JSON.parse((await ask(brokerSocket(cache.config.paths), '/-/store')).body.toString());
  return { cache, upstream, report, ...(await mounted.promise) };
}

/** A new object upstream. */
function put(upstream: ScriptableUpstream, seed: string, mebibytes: number) {
  const bytes = randomBytes(seed, mebibytes * mib);
  const digest = upstream.addBlob(bytes);
  return { digest, path: `/v2/library/app/blobs/${digest}` };
}

async function status(cache: TestCache, { path, digest }: { path: string; digest: string }): Promise<string> {
  const { status, body, headers } = await cache.get(path);
  assert.equal(status, 200);
  assert.equal(digestOf(body), digest);
  return String(headers['x-cache-status']);
}

test.serial(
  'a stream of new objects ten times the bound: none fails, and the free space stays above the floor',
  async (t) => {
    const { cache, upstream, volume, report } = await start(t);
    const least = sampleFree(t, volume);
    const eachMiB = 6;
    const objects = Array.from(
      { length: Math.ceil((10 * maxSizeMiB) / eachMiB) },
      (_, index) => `stream ${index}`,
    );
    const client = async () => {
      for (let seed = objects.pop(); seed !== undefined; seed = objects.pop()) {
        await status(cache, put(upstream, seed, eachMiB));
      }
    };
    await Promise.all(Array.from({ length: 4 }, client));
    const { volume: seen, mirrors } = await report();
    t.log(
      `least free ${(least() / mib).toFixed(1)} MiB, floor ${seen.floorBytes / mib} MiB`,
      mirrors[0]?.evicted,
    );
    t.is(seen.floorBytes, floorBytes);
    t.true(least() >= floorBytes);
    t.true((mirrors[0]?.evicted.bytes ?? 0) > 0);
    // What room was promised to the last ones is free again in a moment; until then some slices pass through.
    await untilHit(cache, put(upstream, 'kept', 6));
  },
);

test.serial(
  'a volume filled by somebody else: hits go on, misses pass through, and caching resumes by itself',
  async (t) => {
    const { cache, upstream, dir, report } = await start(t);
    const objects = Array.from({ length: 12 }, (_, index) => put(upstream, `own ${index}`, 4));
    for (const object of objects) await status(cache, object);
    const newest = objects.at(-1)!;
    await untilHit(cache, newest);
    const foreign = join(dir, 'foreign');
    const full = await eventually(async () => {
      fill(foreign);
      const { volume } = await report();
      assert.equal(volume.reason, 'Full');
      // Until it is looked at again, the message is that of what could not be written.
      assert.match(volume.message ?? '', /MiB are free/);
      return volume;
    });
    t.false(full.writable);
    t.is(await status(cache, newest), 'HIT');
    const passing = put(upstream, 'passing', 4);
    for (let round = 0; round < 2; round += 1) t.is(await status(cache, passing), 'MISS');
    t.is((await cache.get('/v2/library/app/manifests/none')).status, 404);
    upstream.addManifest('library/app', '1', { schemaVersion: 2 });
    for (let round = 0; round < 2; round += 1) {
      const { status: answered, headers } = await cache.get('/v2/library/app/manifests/1');
      t.is(answered, 200);
      t.is(headers['x-cache-status'], 'MISS');
    }
    rmSync(foreign);
    await eventually(async () => assert.equal((await report()).volume.reason, 'Ok'));
    await status(cache, passing);
    t.is(await status(cache, passing), 'HIT');
  },
);

test.serial(
  'a read-only volume: hits go on, misses pass through, and caching resumes by itself',
  async (t) => {
    const { cache, upstream, volume, report } = await start(t);
    const cached = put(upstream, 'cached', 4);
    await status(cache, cached);
    await eventually(() => volume.remount('ro'));
    const passing = put(upstream, 'passing', 4);
    t.is(await status(cache, passing), 'MISS');
    t.is(await status(cache, passing), 'MISS');
    t.is(await status(cache, cached), 'HIT');
    const { volume: seen } = await report();
    t.is(seen.reason, 'ReadOnly');
    t.false(seen.writable);
    volume.remount('rw');
    await eventually(async () => assert((await report()).volume.writable));
    await status(cache, passing);
    t.is(await status(cache, passing), 'HIT');
  },
);

test.serial(
  'slow clients of more than the volume holds cost nobody a request, and get their bytes',
  async (t) => {
    const { cache, upstream, volume } = await start(t);
    const least = sampleFree(t, volume);
    const slow = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const { path, digest } = put(upstream, `slow ${index}`, 6);
        return { digest, rest: await openSlowly(cache, path) };
      }),
    );
    for (let index = 0; index < 20; index += 1) await status(cache, put(upstream, `quick ${index}`, 6));
    for (const { digest, rest } of slow) t.is(digestOf(await rest()), digest);
    t.true(least() >= floorBytes, `least free ${least()}`);
  },
);

test.serial('what passes through is not written to a file for a slow client either', async (t) => {
  const { cache, upstream, volume } = await start(t);
  await eventually(() => volume.remount('ro'));
  const { path, digest } = put(upstream, 'slow and passing', 12);
  const rest = await openSlowly(cache, path);
  // As much as the buffers between upstream and client hold has come, and no more does.
  let before = -1;
  await eventually(
    () => {
      const { bytes } = upstream.counters;
      const settled = bytes === before;
      before = bytes;
      assert(settled && bytes > 0);
    },
    { interval: 500 },
  );
  const { tempDir, runDir } = cache.config.paths;
  t.deepEqual(
    openFilesOfWorkers(join(runDir, 'nginx.pid')).filter((file) => file.startsWith(tempDir)),
    [],
  );
  t.is(digestOf(await rest()), digest);
  volume.remount('rw');
});

/** A miss that meets a short volume is passed through: its object is kept when there is room again. */
async function untilHit(cache: TestCache, object: { path: string; digest: string }): Promise<void> {
  await eventually(async () => assert.equal(await status(cache, object), 'HIT'));
}

/** Returns the least that was free since now. */
function sampleFree(t: ExecutionContext, volume: SmallVolume): () => number {
  let least = Number.POSITIVE_INFINITY;
  const sampler = setInterval(() => {
    least = Math.min(least, volume.freeBytes());
  }, 5);
  t.teardown(() => clearInterval(sampler));
  return () => least;
}

/** Begins a download and takes no byte of its body until what it returns is called. */
async function openSlowly({ port, authority }: TestCache, path: string): Promise<() => Promise<Buffer>> {
  const tls = { ca: authority.certificatePem, checkServerIdentity: () => undefined };
  const asked = request({ host: '127.0.0.1', port, path, agent: false, ...tls }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  return () => buffer(response);
}

function openFilesOfWorkers(pidFile: string): string[] {
  const master = readFileSync(pidFile, 'utf8').trim();
  const workers = readFileSync(`/proc/${master}/task/${master}/children`, 'utf8').trim().split(' ');
  return workers.flatMap((pid) =>
    readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${name}`)];
      } catch {
        return [];
      }
    }),
  );
}

/** Takes all that is free. */
function fill(path: string): void {
  for (const piece of [mib, 4096]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(piece), { flag: 'a' });
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
  }
}
