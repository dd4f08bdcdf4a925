/** Must hold: however many replicas a cache has, the upstream sees one download, and clients get exact bytes whoever dies. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { StoreReport } from '../../src/cache/broker/store/store-report.ts';
import { brokerSocket, type CacheMirror, nginxPidFile } from '../../src/cache/cache-config.ts';
import { ask } from '../support/broker.ts';
import { eventually } from '../support/eventually.ts';
import { randomBytes } from '../support/images.ts';
import { mirrorOf, type TestCache } from '../support/nginx.ts';
import { ownedBy } from '../support/peers.ts';
import { childrenOf } from '../support/processes.ts';
import { type Replicas, startReplicas } from '../support/replicas.ts';
import { type ScriptableUpstream, startScriptableUpstream } from '../support/scriptable-upstream.ts';

const sliceKiB = 256;
const slice = sliceKiB * 1024;

test('24 clients of two replicas, a cold blob behind tokens and a redirect: one download', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  upstream.auth = { kind: 'bearer' };
  upstream.redirect = { blobs: true };
  const bytes = randomBytes('cold', 16 * slice + 12_345);
  const path = `/v2/library/app/blobs/${upstream.addBlob(bytes)}`;
  const answers = await Promise.all(
    Array.from({ length: 24 }, (_, index) => replicas.caches[index % 2]!.get(path)),
  );
  for (const { status, body } of answers) {
    t.is(status, 200);
    t.true(body.equals(bytes));
  }
  const { bytes: sent, redirects, tokens } = upstream.counters;
  t.log(`${sent / bytes.length} of the blob, ${redirects} redirects, ${tokens} tokens`);
  t.true(sent <= 1.01 * bytes.length);
  t.true(redirects <= 2 && tokens <= 2);
});

test('a manifest by tag and by digest is fetched once for all replicas', async (t) => {
  const { upstream, replicas } = await start(t, 3);
  const digest = upstream.addManifest('library/app', 'v1', { schemaVersion: 2, layers: [] });
  for (const reference of ['v1', digest]) {
    upstream.seen.length = 0;
    const path = `/v2/library/app/manifests/${reference}`;
    const answers = await Promise.all([0, 1, 2, 0, 1, 2].map((index) => replicas.caches[index]!.get(path)));
    for (const { status, headers } of answers) {
      t.is(status, 200);
      t.is(headers['docker-content-digest'], digest);
      for (const name of ['x-valid-until', 'x-upstream-identity', 'x-upstream-status'])
        t.false(name in headers);
    }
    t.is(upstream.seen.length, 1, reference);
  }
});

test('while another masquerade comes to one replica after the other, all serve', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  const renamed = mirrorOf(upstream, { masquerade: 'renamed.test' });
  await replicas.cache('m-0').reload([renamed]);
  const blob = owned(upstream, replicas, 'm-1', slice + 1);
  const { status, body } = await replicas.cache('m-0').get(blob.path);
  t.is(status, 200);
  t.true(body.equals(blob.bytes));
  for (let tag = 0; tag < 8; tag += 1) {
    upstream.addManifest('library/app', `v${tag}`, { schemaVersion: 2, layers: [], tag });
    t.is((await replicas.cache('m-0').get(`/v2/library/app/manifests/v${tag}`)).status, 200, `v${tag}`);
  }
});

test('a slow upstream still sees one download', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  // 10 KiB each 10 ms: about 1 MB/s.
  upstream.faults = { drip: 10 * 1024 };
  const bytes = randomBytes('slow', 4 * slice);
  const path = `/v2/library/app/blobs/${upstream.addBlob(bytes)}`;
  const answers = await Promise.all([0, 1, 0, 1, 0, 1].map((index) => replicas.caches[index]!.get(path)));
  for (const { body } of answers) t.true(body.equals(bytes));
  t.is(upstream.counters.bytes, bytes.length);
});

test('what the upstream refuses is asked of it once, and told by every replica', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  const missing = `/v2/library/app/blobs/sha256:${'a'.repeat(64)}`;
  const statuses = await Promise.all(replicas.caches.map(async (cache) => (await cache.get(missing)).status));
  t.deepEqual(statuses, [404, 404]);
  t.is(upstream.counters.requests, 1);
});

test('a rate limit of the upstream is not made worse: no replica asks again for another', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  upstream.faults = { status: 429, retryAfter: '30' };
  const digest = upstream.addBlob(randomBytes('limited', 1000));
  for (const cache of replicas.caches) {
    const { status, headers } = await cache.get(`/v2/library/app/blobs/${digest}`);
    t.is(status, 503);
    t.is(headers['retry-after'], '30');
  }
  t.is(upstream.counters.requests, 1);
});

test('an owner that is gone before: its objects are fetched without it', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  const blob = owned(upstream, replicas, 'm-1', 2 * slice);
  await replicas.cache('m-1').stop();
  const { body } = await replicas.cache('m-0').get(blob.path);
  t.true(body.equals(blob.bytes));
});

test('an owner that goes in the middle: the download goes on, with exact bytes and without waiting', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  upstream.faults = { drip: 8 * 1024 };
  const blob = owned(upstream, replicas, 'm-1', 8 * slice);
  const download = replicas.cache('m-0').get(blob.path);
  await eventually(() => assert.ok(upstream.counters.bytes > 2.5 * slice));
  await replicas.cache('m-1').stop();
  const { status, body, complete } = await download;
  t.is(status, 200);
  t.true(complete);
  t.true(body.equals(blob.bytes));
  t.true(upstream.counters.bytes <= 10 * slice);
});

test('an owner that hangs in the middle, as on a volume that no longer answers: the download goes on without it', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  upstream.faults = { drip: 8 * 1024 };
  const blob = owned(upstream, replicas, 'm-1', 8 * slice);
  const download = replicas.cache('m-0').get(blob.path);
  await eventually(() => assert.ok(upstream.counters.bytes > 2.5 * slice));
  const master = Number(readFileSync(nginxPidFile(replicas.cache('m-1').config.paths), 'utf8'));
  const nginx = [master, ...(await childrenOf(master))];
  t.teardown(() => nginx.forEach((pid) => void process.kill(pid, 'SIGCONT')));
  for (const pid of nginx) process.kill(pid, 'SIGSTOP');
  const { status, body, complete } = await download;
  t.is(status, 200);
  t.true(complete && body.equals(blob.bytes));
});

test('replicas become more and fewer under load while their lists differ: exact bytes, bounded requests, no deadlock', async (t) => {
  const { upstream, replicas } = await start(t, 3);
  await Promise.all([0, 1, 2].map((index) => replicas.tell(index, 1)));
  let running = true;
  let downloads = 0;
  const client = async (index: number) => {
    for (let round = 0; running; round++) {
      const bytes = randomBytes(`load ${round}`, 3 * slice + 777);
      const path = `/v2/library/app/blobs/${upstream.addBlob(bytes)}`;
      const { body } = await replicas.caches[index % 3]!.get(path);
      t.true(body.equals(bytes));
      downloads++;
    }
  };
  const clients = Promise.all(Array.from({ length: 9 }, (_, index) => client(index)));
  for (const count of [2, 3, 2, 1, 3]) {
    // One after the other: in between each has another list.
    for (const index of [2, 0, 1]) {
      await replicas.tell(index, count);
      await delay(150);
    }
  }
  running = false;
  await clients;
  const objects = new Set(upstream.seen.map(({ url }) => url)).size;
  t.log(`${downloads} downloads of ${objects} blobs, ${upstream.counters.requests} requests upstream`);
  // Four slices each; at worst every replica asks the upstream itself.
  t.true(upstream.counters.requests <= objects * 4 * 3);
});

for (const asked of [['m-0'], ['m-0', 'm-1'], ['m-1', 'm-0']]) {
  test(`an upstream that ignores Range, ${asked.join(' then ')} asked for a blob of m-1: one download`, async (t) => {
    const { upstream, replicas } = await start(t, 2);
    upstream.faults = { noRange: true };
    const blob = owned(upstream, replicas, 'm-1', 16 * slice);
    const answers = await Promise.all(asked.map((name) => replicas.cache(name).get(blob.path)));
    for (const { status, headers, body } of answers) {
      t.is(status, 200);
      t.is(headers['accept-ranges'], 'bytes');
      t.true(body.equals(blob.bytes));
    }
    // Kept whole by both: neither has to ask for a part of it.
    await upstream.close();
    for (const { name } of replicas.replicas)
      t.true((await replicas.cache(name).get(blob.path)).body.equals(blob.bytes));
    const headers = { Range: 'bytes=5-9' };
    t.true((await replicas.cache('m-0').get(blob.path, { headers })).body.equals(blob.bytes.subarray(5, 10)));
    t.is(upstream.counters.bytes, blob.bytes.length);
  });
}

test('an upstream that ignores Range: who resumes on the other replica costs it one download', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  upstream.faults = { noRange: true };
  const blob = owned(upstream, replicas, 'm-1', 16 * slice);
  const headers = { Range: `bytes=${3 * slice + 7}-` };
  const { status, body } = await replicas.cache('m-0').get(blob.path, { headers });
  t.is(status, 206);
  t.true(body.equals(blob.bytes.subarray(3 * slice + 7)));
  t.is(upstream.counters.bytes, blob.bytes.length);
});

test('an upstream that ignores Range, and an owner that breaks off in the middle: one more download, exact bytes', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  upstream.faults = { noRange: true };
  const blob = owned(upstream, replicas, 'm-1', 16 * slice);
  replicas.links[1]!.breakAfter(5.5 * slice);
  const { body, complete } = await replicas.cache('m-0').get(blob.path);
  t.true(complete && body.equals(blob.bytes));
  t.true(upstream.counters.bytes <= 2 * blob.bytes.length);
  t.is(upstream.counters.requests, 2);
});

test('an upstream that ignores Range and breaks off now and then: exact bytes on the other replica', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  upstream.faults = { noRange: true, breakAfter: 10.5 * slice, breaks: 1 };
  const blob = owned(upstream, replicas, 'm-1', 16 * slice);
  const { body, complete } = await replicas.cache('m-0').get(blob.path);
  t.true(complete && body.equals(blob.bytes));
  t.is(upstream.counters.requests, 2);
});

interface Started {
  readonly upstream: ScriptableUpstream;
  readonly replicas: Replicas;
}

test('a file that went bad on the owner’s disk spoils a blob on another replica for seconds, not for as long as it is cached', async (t) => {
  const { upstream, replicas } = await start(t, 2);
  const { bytes, path } = owned(upstream, replicas, 'm-1', 3 * slice);
  const [other, owner] = replicas.caches as [TestCache, TestCache];
  await owner.get(path);
  await eventually(async () => assert.equal(await scrubbed(owner), 1));
  spoil(owner, `bytes=${slice}-`);
  t.false((await other.get(path)).body.equals(bytes));
  await eventually(async () => assert.ok((await other.get(path)).body.equals(bytes)));
  // Once more, without those slices that a download found in the moment in which all were removed.
  const again = upstream.counters.bytes - bytes.length;
  t.true(again >= slice && again <= bytes.length, `${again} bytes`);
});

async function start(
  t: ExecutionContext,
  count: number,
  changes: Partial<CacheMirror> = {},
): Promise<Started> {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const mirror = mirrorOf(upstream, changes);
  return { upstream, replicas: await startReplicas(t, mirror, count, { sliceSizeKiB: sliceKiB }) };
}

/** How many blobs it has compared with their digests. */
async function scrubbed({ config }: TestCache): Promise<number | undefined> {
  const { body } = await ask(brokerSocket(config.paths), '/-/store');
  return (JSON.parse(body.toString()) as StoreReport).mirrors[0]?.scrub.checked;
}

/** Changes the last byte of the file that a cache has of a slice. */
function spoil({ config }: TestCache, range: string): void {
  const { cacheDir } = config.mirrors[0]!;
  for (const name of readdirSync(cacheDir, { recursive: true }).map(String)) {
    const path = join(cacheDir, name);
    const content = statSync(path).isFile() ? readFileSync(path) : Buffer.alloc(0);
    if (!content.subarray(0, 1024).includes(range)) continue;
    content[content.length - 1]! ^= 1;
    writeFileSync(path, content);
  }
}

/** A new blob that the replica `owner` owns. */
function owned(upstream: ScriptableUpstream, { replicas }: Replicas, owner: string, size: number) {
  const { bytes, object } = ownedBy(owner, replicas, (seed) => {
    const content = randomBytes(`${owner} ${seed} ${size}`, size);
    return { bytes: content, object: upstream.addBlob(content) };
  });
  return { bytes, path: `/v2/library/app/blobs/${object}` };
}
