import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { mirrorOf, sliceBytes, startBroker } from '../../../support/broker.ts';
import { eventually } from '../../../support/eventually.ts';
import { type ScriptableUpstream, startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

async function setUp(t: ExecutionContext, size = 3_000_000) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const blob = randomBytes(size);
  const digest = upstream.addBlob(blob);
  const broker = await startBroker(t, [mirrorOf(`http://${upstream.host}`)]);
  const slice = (start: number, end: number) =>
    broker.get(`/m/v2/a/b/blobs/${digest}`, { range: `bytes=${start}-${end}` });
  return { upstream, broker, blob, digest, slice };
}

function registryRequests(upstream: ScriptableUpstream): number {
  return upstream.seen.filter(({ origin }) => origin === 'registry').length;
}

test('a slice of a blob is answered as 206 with the digest as ETag', async (t) => {
  const { slice, blob, digest } = await setUp(t);
  const answer = await slice(sliceBytes, 2 * sliceBytes - 1);
  t.is(answer.status, 206);
  t.is(answer.headers['content-range'], 'bytes 1048576-2097151/3000000');
  t.is(answer.headers.etag, `"${digest}"`);
  t.is(answer.headers['x-accel-expires'], '31536000');
  t.true(answer.body.equals(blob.subarray(sliceBytes, 2 * sliceBytes)));
});

test('the last slice ends where the blob ends', async (t) => {
  const { slice, blob } = await setUp(t);
  const answer = await slice(2 * sliceBytes, 3 * sliceBytes - 1);
  t.is(answer.headers['content-range'], 'bytes 2097152-2999999/3000000');
  t.true(answer.body.equals(blob.subarray(2 * sliceBytes)));
});

test('a slice behind the end of the blob is 416 and not kept', async (t) => {
  const { slice } = await setUp(t);
  const answer = await slice(9_000_000, 9_999_999);
  t.is(answer.status, 416);
  t.is(answer.headers['x-accel-expires'], '0');
});

test('an empty blob is answered whole', async (t) => {
  const { slice } = await setUp(t, 0);
  const answer = await slice(0, sliceBytes - 1);
  t.is(answer.status, 200);
  t.is(answer.body.length, 0);
});

test('a blob that does not exist is 404 for five seconds in the form of the specification, and asked for once', async (t) => {
  const { broker, upstream } = await setUp(t);
  for (const _ of ['first', 'from memory']) {
    const answer = await broker.get(`/m/v2/a/b/blobs/sha256:${'0'.repeat(64)}`, { range: 'bytes=0-1' });
    t.is(answer.status, 404);
    t.is(answer.headers['x-accel-expires'], '5');
    t.is(JSON.parse(answer.body.toString()).errors[0].code, 'BLOB_UNKNOWN');
  }
  t.is(registryRequests(upstream), 1);
});

for (const status of [401, 403, 404, 429, 503]) {
  test(`status ${status} of one repository's blob is no answer for another repository`, async (t) => {
    const { broker, upstream, slice } = await setUp(t, 5000);
    const digest = upstream.addBlob(Buffer.from('shared'));
    const get = (repository: string) =>
      broker.get(`/m/v2/${repository}/blobs/${digest}`, { range: `bytes=0-${sliceBytes - 1}` });
    upstream.faults = { status };
    const told = status === 429 ? 503 : status;
    // It is remembered for a second, which a busy machine may take to ask again.
    await eventually(async () => {
      t.is((await get('no/where')).status, told);
      const asked = upstream.counters.requests;
      t.is((await get('no/where')).status, told);
      assert.equal(upstream.counters.requests, asked);
    });
    upstream.faults = {};
    t.is((await get('a/b')).status, 206);
    t.is((await slice(0, sliceBytes - 1)).status, 206);
  });
}

test('an upstream without Range: a blob that fits one slice is 206, a larger one whole, a later slice cut out of it', async (t) => {
  const { upstream, slice, blob } = await setUp(t);
  upstream.faults = { noRange: true };
  const whole = await slice(0, sliceBytes - 1);
  t.is(whole.status, 200);
  t.true(whole.body.equals(blob));
  const later = await slice(sliceBytes, 2 * sliceBytes - 1);
  t.is(later.status, 206);
  t.is(later.headers['content-range'], 'bytes 1048576-2097151/3000000');
  t.true(later.body.equals(blob.subarray(sliceBytes, 2 * sliceBytes)));
  const small = randomBytes(1000);
  const answer = await slice(0, 0).then(async () => {
    const digest = upstream.addBlob(small);
    return setUpSmall(t, upstream, digest);
  });
  t.is(answer.status, 206);
  t.is(answer.headers['content-range'], 'bytes 0-999/1000');
  t.true(answer.body.equals(small));
});

test('an upstream without Range: slices that are asked for one after the other come out of one answer', async (t) => {
  const { upstream, slice, blob } = await setUp(t, 5 * sliceBytes + 1000);
  upstream.faults = { noRange: true };
  // The third is in nginx's cache, the last one is short.
  for (const index of [1, 2, 4, 5]) {
    const [start, end] = [index * sliceBytes, (index + 1) * sliceBytes];
    const { status, body } = await slice(start, end - 1);
    t.is(status, 206);
    t.true(body.equals(blob.subarray(start, end)), `slice ${index}`);
  }
  t.is(upstream.counters.requests, 1);
});

test('an upstream without Range: who asks for what is past in every answer gets one of his own, and costs the others none', async (t) => {
  const { upstream, slice, blob } = await setUp(t, 6 * sliceBytes);
  upstream.faults = { noRange: true };
  for (const index of [3, 1, 4, 2, 5, 3]) {
    const [start, end] = [index * sliceBytes, (index + 1) * sliceBytes];
    t.true((await slice(start, end - 1)).body.equals(blob.subarray(start, end)), `slice ${index}`);
  }
  t.is(upstream.counters.requests, 2);
});

test('an upstream without Range that closes connections which are held: the next slice is exact all the same', async (t) => {
  const { upstream, slice, blob } = await setUp(t, 20 * sliceBytes);
  upstream.faults = { noRange: true };
  // Far apart: what is on its way is more than a slice.
  for (const index of [1, 18]) {
    const [start, end] = [index * sliceBytes, (index + 1) * sliceBytes];
    t.true((await slice(start, end - 1)).body.equals(blob.subarray(start, end)), `slice ${index}`);
    upstream.closeConnections();
  }
  t.is(upstream.counters.requests, 2);
});

test('an upstream without Range: what is held for one repository is not given to another one', async (t) => {
  const { upstream, broker, digest, slice } = await setUp(t, 4 * sliceBytes);
  upstream.faults = { noRange: true };
  await slice(sliceBytes, 2 * sliceBytes - 1);
  const range = `bytes=${2 * sliceBytes}-${3 * sliceBytes - 1}`;
  t.is((await broker.get(`/m/v2/no/where/blobs/${digest}`, { range })).status, 206);
  t.is(upstream.counters.requests, 2);
});

async function setUpSmall(t: ExecutionContext, upstream: ScriptableUpstream, digest: string) {
  const broker = await startBroker(t, [mirrorOf(`http://${upstream.host}`)]);
  return broker.get(`/m/v2/a/b/blobs/${digest}`, { range: `bytes=0-${sliceBytes - 1}` });
}

test('an upstream without Range and without a length gives the whole blob', async (t) => {
  const { upstream, slice, blob } = await setUp(t);
  upstream.faults = { noRange: true, noLength: true };
  const whole = await slice(0, sliceBytes - 1);
  t.is(whole.status, 200);
  t.true(whole.body.equals(blob));
  t.is((await slice(sliceBytes, 2 * sliceBytes - 1)).status, 502);
});

test('a connection that breaks within a slice is taken up from where it broke', async (t) => {
  const { upstream, slice, blob } = await setUp(t);
  upstream.faults = { breakAfter: 300_000, breaks: 2 };
  const answer = await slice(sliceBytes, 2 * sliceBytes - 1);
  t.true(answer.body.equals(blob.subarray(sliceBytes, 2 * sliceBytes)));
  const ranges = upstream.seen.map(({ headers }) => headers.range);
  t.deepEqual(ranges, ['bytes=1048576-2097151', 'bytes=1348576-2097151', 'bytes=1648576-2097151']);
});

test('an upstream without Range that breaks is read anew and skipped to where it broke', async (t) => {
  const { upstream, slice, blob } = await setUp(t);
  upstream.faults = { noRange: true, breakAfter: 2_000_000, breaks: 1 };
  const answer = await slice(0, sliceBytes - 1);
  t.true(answer.body.equals(blob));
});

test('a body that breaks every time is given up after a bounded number of requests and never ends as if whole', async (t) => {
  const { upstream, slice } = await setUp(t);
  upstream.faults = { breakAfter: 1000 };
  await t.throwsAsync(slice(0, sliceBytes - 1));
  t.is(upstream.counters.requests, 5);
});

test('a body that falls silent is taken up again', async (t) => {
  const { upstream, slice, blob } = await setUp(t, 400_000);
  upstream.faults = { breakAfter: 100_000, breaks: 1, silent: true };
  t.true((await slice(0, sliceBytes - 1)).body.equals(blob));
  t.deepEqual(
    upstream.seen.map(({ headers }) => headers.range),
    ['bytes=0-1048575', 'bytes=100000-399999'],
  );
});

test('one redirect serves all slices, also those asked for at the same time', async (t) => {
  const { upstream, slice, blob } = await setUp(t);
  upstream.redirect = { blobs: true };
  const answers = await Promise.all([0, 1, 2].map((n) => slice(n * sliceBytes, (n + 1) * sliceBytes - 1)));
  t.true(Buffer.concat(answers.map(({ body }) => body)).equals(blob));
  t.is(upstream.counters.redirects, 1);
});

test('a redirect to another path of the upstream serves all slices too, with the token that the upstream wants', async (t) => {
  const { upstream, slice, blob } = await setUp(t);
  upstream.auth = { kind: 'bearer' };
  upstream.redirect = { blobs: 'within' };
  for (const n of [0, 1, 2]) {
    const answer = await slice(n * sliceBytes, (n + 1) * sliceBytes - 1);
    t.true(answer.body.equals(blob.subarray(n * sliceBytes, (n + 1) * sliceBytes)));
  }
  t.is(upstream.counters.redirects, 1);
  const targets = upstream.seen.filter(({ url }) => url.includes('sig='));
  t.true(targets.every(({ headers }) => headers.authorization?.startsWith('Bearer ')));
  t.is(targets.length, 3);
});

test('a redirect target that expired is asked for anew, once', async (t) => {
  const { upstream, slice, blob } = await setUp(t);
  upstream.redirect = { blobs: true, uses: 2 };
  for (const n of [0, 1, 2]) {
    const answer = await slice(n * sliceBytes, (n + 1) * sliceBytes - 1);
    t.true(answer.body.equals(blob.subarray(n * sliceBytes, (n + 1) * sliceBytes)));
  }
  t.is(upstream.counters.redirects, 2);
});

test('a redirect target that never works ends in its own status', async (t) => {
  const { upstream, slice } = await setUp(t);
  upstream.redirect = { blobs: true, uses: 0 };
  t.is((await slice(0, 99)).status, 403);
  t.true(upstream.counters.redirects <= 2);
});

for (const status of [301, 302, 303, 307, 308]) {
  test(`a redirect with status ${status} is followed`, async (t) => {
    const { upstream, slice, blob } = await setUp(t, 5000);
    upstream.redirect = { blobs: true, status };
    t.true((await slice(0, sliceBytes - 1)).body.equals(blob));
  });
}

test('a small blob of wrong bytes is 502 before its first byte', async (t) => {
  const { upstream, slice } = await setUp(t, 5000);
  upstream.faults = { corrupt: true };
  const answer = await slice(0, sliceBytes - 1);
  t.is(answer.status, 502);
  t.is(answer.headers['x-accel-expires'], '2');
});

test('a whole blob of wrong bytes never becomes whole', async (t) => {
  const { upstream, slice } = await setUp(t, 900_000);
  upstream.faults = { corrupt: true };
  await t.throwsAsync(slice(0, sliceBytes - 1));
});

for (const [what, faults] of Object.entries({
  'another range': { shiftRange: 10 },
  'a content encoding': { contentEncoding: 'gzip' },
  'a captive portal': { portal: true },
  'a server error': { status: 500 },
})) {
  test(`${what} instead of a slice is 502`, async (t) => {
    const { upstream, slice } = await setUp(t);
    upstream.faults = faults;
    const answer = await slice(0, sliceBytes - 1);
    t.is(answer.status, 502);
    t.is(answer.headers['x-accel-expires'], '2');
  });
}

test('slices that state different sizes of one blob are not served together', async (t) => {
  const { upstream, slice } = await setUp(t);
  t.is((await slice(0, sliceBytes - 1)).status, 206);
  upstream.faults = { total: 3_000_001 };
  t.is((await slice(sliceBytes, 2 * sliceBytes - 1)).status, 502);
});

test('a blob of more than 4 TiB is a fault of who states it', async (t) => {
  const { upstream, slice } = await setUp(t);
  upstream.faults = { total: 999_999_999_999_999 };
  t.is((await slice(sliceBytes, 2 * sliceBytes - 1)).status, 502);
});

test('a single server error costs a slice a retry, not the download', async (t) => {
  const { upstream, slice, blob } = await setUp(t);
  upstream.faults = { status: 503 };
  const answer = slice(0, sliceBytes - 1);
  await eventually(() => assert.equal(registryRequests(upstream), 1), { interval: 5 });
  upstream.faults = {};
  t.true((await answer).body.equals(blob.subarray(0, sliceBytes)));
});

test('429 becomes 503 with Retry-After and is asked once', async (t) => {
  const { upstream, slice } = await setUp(t);
  upstream.faults = { status: 429, retryAfter: '17' };
  const answer = await slice(0, sliceBytes - 1);
  t.is(answer.status, 503);
  t.is(answer.headers['retry-after'], '17');
  t.is(registryRequests(upstream), 1);
});

test('an upstream that does not answer is 504, one that refuses 502', async (t) => {
  const { upstream, slice } = await setUp(t);
  upstream.faults = { delayMs: 10_000 };
  t.is((await slice(0, sliceBytes - 1)).status, 504);
  await upstream.close();
  t.is((await slice(sliceBytes, 2 * sliceBytes - 1)).status, 502);
});

test('a client that goes away ends the request upstream', async (t) => {
  const { upstream, broker, digest } = await setUp(t, 20_000_000);
  const asked = request({ socketPath: broker.socket, path: `/m/v2/a/b/blobs/${digest}`, agent: false });
  asked.on('error', () => {});
  asked.on('response', (response) => response.once('data', () => asked.destroy()).on('error', () => {}));
  asked.end();
  await eventually(() => assert.ok(upstream.counters.bytes > 0));
  let before = -1;
  await eventually(
    () => {
      const now = upstream.counters.bytes;
      const stopped = now === before;
      before = now;
      assert.ok(stopped);
    },
    { interval: 100 },
  );
  t.true(upstream.counters.bytes < 20_000_000);
});

test('a client that reads slowly holds the upstream back', async (t) => {
  const { upstream, broker, digest } = await setUp(t, 60_000_000);
  const asked = request({ socketPath: broker.socket, path: `/m/v2/a/b/blobs/${digest}`, agent: false });
  asked.on('error', () => {});
  const response = await new Promise<IncomingMessage>((resolve) => {
    asked.on('response', resolve).end();
  });
  response.on('error', () => {});
  let before = -1;
  await eventually(
    () => {
      const stopped = upstream.counters.bytes === before && before > 0;
      before = upstream.counters.bytes;
      assert.ok(stopped);
    },
    { interval: 200 },
  );
  t.true(upstream.counters.bytes < 30_000_000, `${upstream.counters.bytes} bytes were read ahead`);
  asked.destroy();
});
