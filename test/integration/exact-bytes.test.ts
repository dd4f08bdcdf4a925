/** Must hold: whatever of a blob is cached, clients get its exact bytes. Real nginx, real slices, tokens and a redirect to another origin. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../support/eventually.ts';
import { randomBytes } from '../support/images.ts';
import { mirrorOf, startCache, type TestCache } from '../support/nginx.ts';
import { type ScriptableUpstream, startScriptableUpstream } from '../support/scriptable-upstream.ts';
import { sendSlice, standInBroker } from '../support/stand-in-broker.ts';

const sliceKiB = 64;
const slice = sliceKiB * 1024;
const slices = 6;
/** Six slices, the last of them short. */
const size = (slices - 1) * slice + 12_345;

test('every subset of cached slices: a full GET returns the exact bytes', async (t) => {
  const { cache, upstream } = await start(t);
  for (const subset of subsets()) {
    const blob = await prepare(t, cache, upstream, `full ${subset}`, subset);
    const { status, body, headers } = await cache.get(blob.path);
    t.is(status, 200);
    t.is(headers['content-length'], String(size));
    t.true(body.equals(blob.bytes), `subset ${subset.join()}`);
  }
  t.is(upstream.counters.tokens, 1);
});

test('every subset of cached slices: a random Range returns the exact bytes', async (t) => {
  const { cache, upstream } = await start(t);
  for (const subset of subsets()) {
    const blob = await prepare(t, cache, upstream, `range ${subset}`, subset);
    for (let round = 0; round < 4; round += 1) {
      const from = Math.floor(Math.random() * size);
      const to = from + Math.floor(Math.random() * (size - from));
      const { status, body, headers } = await cache.get(blob.path, {
        headers: { Range: `bytes=${from}-${to}` },
      });
      const said = `subset ${subset.join()} bytes ${from}-${to}`;
      t.is(status, 206, said);
      t.is(headers['content-range'], `bytes ${from}-${to}/${size}`);
      t.true(body.equals(blob.bytes.subarray(from, to + 1)), said);
    }
  }
});

test('every subset of cached slices: a download that breaks off and is resumed returns the exact bytes', async (t) => {
  const { cache, upstream } = await start(t);
  for (const subset of subsets()) {
    const blob = await prepare(t, cache, upstream, `resume ${subset}`, subset);
    const breakAfter = 1 + Math.floor(Math.random() * (size - 1));
    const begun = (await cache.get(blob.path, { breakAfter })).body;
    const rest = await cache.get(blob.path, { headers: { Range: `bytes=${begun.length}-` } });
    const whole = begun.length === size ? begun : Buffer.concat([begun, rest.body]);
    t.true(whole.equals(blob.bytes), `subset ${subset.join()} broken after ${begun.length}`);
  }
});

test('curl resumes a download', async (t) => {
  const { cache, upstream } = await start(t);
  const dir = mkdtempSync(join(tmpdir(), 'curl-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const blob = await prepare(t, cache, upstream, 'curl', [1, 4]);
  const file = join(dir, 'blob');
  writeFileSync(file, blob.bytes.subarray(0, 100_000));
  const url = `https://127.0.0.1:${cache.port}${blob.path}`;
  await promisify(execFile)('curl', ['-sSf', '--cacert', cache.authority.file, '-C', '-', '-o', file, url]);
  t.true(readFileSync(file).equals(blob.bytes));
});

test('slices that are evicted while clients read: every client gets the exact bytes', async (t) => {
  const { cache, upstream } = await start(t);
  const blob = await prepare(t, cache, upstream, 'evicted', []);
  let reading = true;
  let evicted = 0;
  const evictor = (async () => {
    while (reading) {
      evicted += cache.evict(0.5);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const reader = async (index: number) => {
    for (let round = 0; round < 15; round += 1) {
      const from = index % 2 === 0 ? 0 : Math.floor(Math.random() * size);
      const headers = from === 0 ? {} : { Range: `bytes=${from}-` };
      const { body } = await cache.get(blob.path, { headers });
      t.true(body.equals(blob.bytes.subarray(from)), `from ${from}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, index) => reader(index)));
  reading = false;
  await evictor;
  t.true(evicted > 0);
});

test('an upstream that dies inside a slice: the client gets the bytes before it and the connection breaks at once', async (t) => {
  const { cache, upstream } = await start(t);
  for (const subset of [[0, 2, 3, 4, 5], [0], [5], []]) {
    const blob = await prepare(t, cache, upstream, `dying ${subset}`, subset);
    upstream.cdnFaults = { breakAfter: 10_000 };
    const { body, complete, totalMs } = await cache.get(blob.path);
    t.false(complete, subset.join());
    t.true(body.length < size && body.equals(blob.bytes.subarray(0, body.length)), `subset ${subset.join()}`);
    t.true(totalMs < 5_000);
    upstream.cdnFaults = {};
    // What failed is remembered for 2 s, so that those who wait fail together; then the resumed rest fits.
    const rest = await eventually(async () => {
      const answer = await cache.get(blob.path, { headers: { Range: `bytes=${body.length}-` } });
      assert.equal(answer.status, 206);
      return answer.body;
    });
    t.true(Buffer.concat([body, rest]).equals(blob.bytes));
  }
});

for (const failure of [503, 416, 412]) {
  test(`a later slice that is ${failure} is never made up for by anything, whatever is offered in its place`, async (t) => {
    const { cache, upstream } = await start(t);
    for (const subset of [[0], [0, 1, 2], [0, 2, 3, 4, 5], [0, 1, 2, 3, 4]]) {
      const blob = await prepare(t, cache, upstream, `offered ${failure} ${subset}`, subset);
      // Stands in for a broker that fails slices and would answer a question without a Range: the trap of named locations.
      const stand = await standInBroker(t, cache, ({ headers: { range } }, response) => {
        response.writeHead(range === undefined ? 200 : failure, { 'X-Accel-Expires': '0' });
        response.end(range === undefined ? blob.bytes : '{}');
      });
      // A connection that is reset before anything was read is as good as one that ends early.
      const answer = await cache.get(blob.path).catch(() => undefined);
      await stand.end(0);
      t.not(answer?.complete, true, subset.join());
      const body = answer?.body ?? Buffer.alloc(0);
      t.true(body.equals(blob.bytes.subarray(0, body.length)), `subset ${subset.join()}`);
      const asked = stand.seen.flat().map(({ headers }) => headers.range);
      t.false(asked.includes(undefined), `subset ${subset.join()}: asked without a Range`);
      await cache.startBroker();
      t.true((await cache.get(blob.path)).body.equals(blob.bytes), `subset ${subset.join()} afterwards`);
    }
  });
}

for (const isAskedTwice of [false, true]) {
  const beginning = isAskedTwice ? 'failed at first' : 'came at once';
  test(`a broker that dies inside a later slice: the client gets the bytes before it, where the beginning ${beginning}`, async (t) => {
    const { cache, upstream } = await start(t);
    for (const subset of [[], [2, 3], [2, 3, 4, 5]]) {
      const blob = await prepare(t, cache, upstream, `broker dies ${beginning} ${subset}`, subset);
      let isRefusing = isAskedTwice;
      // In place of a broker's: a killed one can be timed only by chance.
      const stand = await standInBroker(t, cache, (request, response) => {
        const { range = '', 'x-cut-off': cutOff } = request.headers;
        if (isRefusing || cutOff !== undefined) response.destroy();
        else
          void sendSlice(
            request,
            response,
            blob.bytes,
            range.startsWith(`bytes=${slice}-`) ? 40_000 : undefined,
          );
        isRefusing = false;
      });
      const { status, body, complete } = await cache.get(blob.path);
      await stand.end(0);
      t.is(status, 200);
      t.false(complete);
      t.true(body.equals(blob.bytes.subarray(0, body.length)), `subset ${subset.join()}`);
      t.true(body.length > slice);
      await cache.startBroker();
      t.true((await cache.get(blob.path)).body.equals(blob.bytes), `subset ${subset.join()} afterwards`);
    }
  });
}

test('an upstream that dies inside a slice now and then costs clients nothing', async (t) => {
  const { cache, upstream } = await start(t);
  const blob = await prepare(t, cache, upstream, 'now and then', [3]);
  upstream.cdnFaults = { breakAfter: 20_000, breaks: 2 };
  const { body } = await cache.get(blob.path);
  t.true(body.equals(blob.bytes));
});

test('an upstream that ignores Range: the bytes are exact, whatever part is asked for first', async (t) => {
  const { cache, upstream } = await start(t);
  upstream.faults = { noRange: true };
  upstream.cdnFaults = { noRange: true };
  for (const from of [0, 2 * slice + 5]) {
    const bytes = randomBytes(`whole ${from}`, size);
    const path = `/v2/library/app/blobs/${upstream.addBlob(bytes)}`;
    const { body } = await cache.get(path, { headers: { Range: `bytes=${from}-` } });
    t.true(body.equals(bytes.subarray(from)), `from ${from}`);
    const whole = await cache.get(path);
    t.true(whole.body.equals(bytes), `whole after ${from}`);
  }
});

test('an upstream that ignores Range: who resumes a download costs it one more, however many slices are left', async (t) => {
  const { cache, upstream } = await start(t);
  upstream.faults = { noRange: true };
  upstream.cdnFaults = { noRange: true };
  const from = 2 * slice + 5;
  const costs: number[] = [];
  // A broker that a busy machine keeps from its work lets go of a download that nobody seems to want.
  for (let attempt = 0; attempt < 3 && !costs.includes(1); attempt++) {
    upstream.counters.bytes = 0;
    const bytes = randomBytes(`resumed ${attempt}`, 64 * slice);
    const path = `/v2/library/app/blobs/${upstream.addBlob(bytes)}`;
    for (let round = 0; round < 2; round++) {
      const { status, body } = await cache.get(path, { headers: { Range: `bytes=${from}-` } });
      t.is(status, 206);
      t.true(body.equals(bytes.subarray(from)));
    }
    costs.push(upstream.counters.bytes / bytes.length);
  }
  t.true(
    costs.every((cost) => cost <= 2),
    `${costs}`,
  );
  t.true(costs.includes(1), `${costs}`);
});

test('an upstream that ignores Range from some moment on: the slices that are missing come out of one download', async (t) => {
  const { cache, upstream } = await start(t);
  const blob = await prepare(t, cache, upstream, 'no more ranges', [0, 3]);
  upstream.counters.bytes = 0;
  upstream.cdnFaults = { noRange: true };
  t.true((await cache.get(blob.path)).body.equals(blob.bytes));
  t.is(upstream.counters.bytes, size);
});

test('every subset of cached slices: a range or a condition that cannot be met gets no byte of the blob and spoils none', async (t) => {
  const { cache, upstream } = await start(t);
  for (const subset of subsets()) {
    const blob = await prepare(t, cache, upstream, `unmet ${subset}`, subset);
    for (const headers of [{ Range: `bytes=${size}-` }, { Range: 'bytes=5-4' }, { 'If-Match': '"x"' }]) {
      const { status, body, complete } = await cache.get(blob.path, { headers });
      t.is(status, 'Range' in headers ? 416 : 412);
      t.true(complete);
      t.true(body.length < 200 && Array.isArray(JSON.parse(body.toString()).errors), body.toString());
    }
    t.true((await cache.get(blob.path)).body.equals(blob.bytes), `subset ${subset.join()}`);
  }
});

test('bytes at the edges of slices', async (t) => {
  const { cache, upstream } = await start(t);
  for (const length of [1, slice - 1, slice, slice + 1, 2 * slice]) {
    const bytes = randomBytes(`edge ${length}`, length);
    const path = `/v2/library/app/blobs/${upstream.addBlob(bytes)}`;
    const last = await cache.get(path, { headers: { Range: `bytes=${length - 1}-${length - 1}` } });
    t.true(last.body.equals(bytes.subarray(length - 1)), `last byte of ${length}`);
    const { body } = await cache.get(path);
    t.true(body.equals(bytes), `all of ${length}`);
    const beyond = await cache.get(path, { headers: { Range: `bytes=${length}-` } });
    t.is(beyond.status, 416, `beyond ${length}`);
  }
});

/** A cache of an upstream that wants tokens and redirects to a second origin. */
async function start(t: ExecutionContext): Promise<{ cache: TestCache; upstream: ScriptableUpstream }> {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  upstream.auth = { kind: 'bearer' };
  upstream.redirect = { blobs: true };
  const cache = await startCache(t, [mirrorOf(upstream)], { sliceSizeKiB: sliceKiB });
  return { cache, upstream };
}

interface Prepared {
  readonly path: string;
  readonly bytes: Buffer;
}

/** A new blob of which exactly the slices of `subset` are cached, fetched in random order. */
async function prepare(
  t: ExecutionContext,
  cache: TestCache,
  upstream: ScriptableUpstream,
  seed: string,
  subset: readonly number[],
): Promise<Prepared> {
  const bytes = randomBytes(seed, size);
  const path = `/v2/library/app/blobs/${upstream.addBlob(bytes)}`;
  for (const index of subset.toSorted(() => Math.random() - 0.5)) {
    const at = index * slice + 7;
    const { status, body } = await cache.get(path, { headers: { Range: `bytes=${at}-${at}` } });
    t.is(status, 206);
    t.is(body[0], bytes[at]);
  }
  return { path, bytes };
}

function subsets(): number[][] {
  return Array.from({ length: 2 ** slices }, (_, bits) =>
    Array.from({ length: slices }, (_, index) => index).filter((index) => bits & (1 << index)),
  );
}
