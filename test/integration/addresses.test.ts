/** The addresses of one cache: what clients of each are told, and what the broker hears of it. Real nginx. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { type CacheConfig, localSocket, requestLog } from '../../src/cache/cache-config.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { eventually } from '../support/eventually.ts';
import { randomBytes } from '../support/images.ts';
import { type Asked, mirrorOf, type Received, startCache } from '../support/nginx.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';
import { standInBroker } from '../support/stand-in-broker.ts';

const sha = (letter: string) => `sha256:${letter.repeat(64)}`;
const objects = [
  'library/app/manifests/1',
  `library/app/manifests/${sha('a')}`,
  `library/app/blobs/${sha('b')}`,
  'library/app/tags/list',
  `library/app/referrers/${sha('c')}`,
];

for (const [status, told, codes] of [
  [401, 404, /^(?:NAME|BLOB|MANIFEST)_UNKNOWN$/],
  [403, 404, /^(?:NAME|BLOB|MANIFEST)_UNKNOWN$/],
  [404, 404, /^(?:NAME|BLOB|MANIFEST)_UNKNOWN$/],
  [429, 503, /^TOOMANYREQUESTS$/],
  [500, 503, /^UNAVAILABLE$/],
  [503, 503, /^UNAVAILABLE$/],
] as const) {
  test(`where clients have the upstream itself, its ${status} is ${told} for every object`, async (t) => {
    const { upstream, fallback, get } = await start(t);
    upstream.faults = { status, retryAfter: '7' };
    // The second one is answered from what nginx keeps of a failure, whoever asked first.
    for (const object of objects) {
      const plain = await get(object);
      for (const _ of ['kept', 'kept still']) {
        const answer = await get(object, { at: fallback });
        t.is(answer.status, told, object);
        t.is(answer.headers['www-authenticate'], undefined, object);
        t.regex(errorCode(t, answer), codes, object);
        if (status === 503) t.is(answer.headers['retry-after'], '7', object);
      }
      t.is(plain.status, status === 429 ? 503 : status === 500 ? 502 : status, object);
      errorCode(t, plain);
    }
  });
}

test('what can be had is the same by every address', async (t) => {
  const { cache, upstream, fallback, get } = await start(t);
  const bytes = randomBytes('same', 300_000);
  const blob = `library/app/blobs/${upstream.addBlob(bytes)}`;
  for (const at of [cache.port, fallback, localSocket(cache.config.paths)]) {
    t.is(
      (await get('library/app/manifests/1', { at })).headers['x-cache-status'],
      at === cache.port ? 'MISS' : 'HIT',
    );
    t.true((await get(blob, { at })).body.equals(bytes));
    t.is((await cache.get('/health-check', { at })).status, 200);
    t.is((await cache.get('/v2/', { at })).status, 200);
    for (const path of [
      '/',
      '/v2/_catalog',
      '/-/error',
      '/-/authorize',
      '/-/status',
      '/m/v2/library/app/manifests/1',
    ]) {
      const answer = await cache.get(path, { at });
      t.is(answer.status, 404, path);
      errorCode(t, answer);
    }
  }
});

test('without a broker misses are 502, and 503 where clients have the upstream itself', async (t) => {
  const { cache, fallback, get } = await start(t);
  await cache.stopBroker();
  for (const object of objects) {
    for (const [at, status] of [
      [cache.port, 502],
      [fallback, 503],
    ] as const) {
      const answer = await get(object, { at });
      t.is(answer.status, status, object);
      t.is(errorCode(t, answer), 'UNAVAILABLE', object);
    }
  }
});

test('a blob that failed once and is there then: a later slice that fails shows clients no wrong byte', async (t) => {
  const { cache, fallback, get } = await start(t, { sliceSizeKiB: 64 });
  const bytes = randomBytes('slices', 200_000);
  let asked = 0;
  let failure = 502;
  await standInBroker(t, cache, ({ headers: { range } }, response) => {
    asked += 1;
    // The first question fails: nginx asks again for the repository alone, and keeps slices for it.
    if (asked === 1) return response.writeHead(404, { 'X-Accel-Expires': '60' }).end('{}');
    const [from = 0, to = 0] = range?.match(/\d+/g)?.map(Number) ?? [];
    if (from > 0 && failure === 0) return response.destroy();
    if (from > 0) return response.writeHead(failure, { 'X-Accel-Expires': '0' }).end('{"wrong":"bytes"}');
    const piece = bytes.subarray(from, to + 1);
    const range_ = `bytes ${from}-${from + piece.length - 1}/${bytes.length}`;
    response.writeHead(206, { 'Content-Range': range_, 'X-Accel-Expires': '60' }).end(piece);
  });
  for (const at of [cache.port, fallback]) {
    for (failure of [502, 404, 401, 500, 0]) {
      const answer = await get(`library/app/blobs/${sha('d')}`, { at }).catch(() => undefined);
      t.not(answer?.complete, true, `${at} ${failure}`);
      const got = answer?.body ?? Buffer.alloc(0);
      t.true(got.equals(bytes.subarray(0, got.length)), `${at} ${failure}`);
    }
  }
});

test('the broker is told the kind of address by nginx alone, and what it says to replicas stays with them', async (t) => {
  const { cache, fallback, get } = await start(t);
  const broker = await standInBroker(t, cache, (_, response) => {
    const own = {
      'X-Valid-Until': '1',
      'X-Upstream-Status': '404',
      'X-Upstream-Identity': 'ours',
      'X-Accel-Limit-Rate': '1',
      'Set-Cookie': 'a=b',
    };
    response.writeHead(200, { ...own, 'X-Accel-Expires': '0' }).end('{}');
  });
  const lies = { 'X-Address-Kind': 'peer', 'x-address-kind': 'peer', X_Address_Kind: 'peer' };
  for (const at of [cache.port, fallback, localSocket(cache.config.paths)]) {
    const { headers } = await get('library/app/manifests/1', { at, headers: lies });
    const shown = Object.keys(headers).filter((name) => /^x-(?!cache-status$)|^set-cookie$/.test(name));
    t.deepEqual(shown, []);
  }
  const kinds = broker.seen[0]?.map(({ headers }) => headers['x-address-kind']);
  t.deepEqual(kinds, ['plain', 'fallback', 'local']);
});

test('all of one object goes to one broker process, objects are spread over all, and one that is gone costs nothing', async (t) => {
  const { cache, get } = await start(t, { brokerProcesses: 3 });
  const broker = await standInBroker(t, cache, (_, response) => {
    response.writeHead(200, { 'X-Accel-Expires': '0' }).end('{}');
  });
  const processOf = async (object: string) => {
    const before = broker.seen.map(({ length }) => length);
    t.is((await get(object)).status, 200);
    return broker.seen.findIndex(({ length }, index) => length > (before[index] ?? 0));
  };
  const used = new Set<number>();
  for (const letter of '0123456789abcdef') {
    const first = await processOf(`library/app/blobs/${sha(letter)}`);
    used.add(first);
    t.is(
      await processOf(`another/repository/blobs/${sha(letter)}`),
      first,
      'a blob is one object in all repositories',
    );
    const tag = await processOf(`library/app/manifests/${letter}`);
    t.is(await processOf(`library/app/manifests/${letter}`), tag);
  }
  t.is(used.size, 3);
  await broker.end(1);
  const times: number[] = [];
  for (const letter of '0123456789abcdef') {
    const { status, totalMs } = await get(`library/app/blobs/${sha(letter)}`);
    t.is(status, 200);
    times.push(totalMs);
  }
  // What waits for the one that is gone waits for seconds; that is a third of them.
  const slow = times.filter((ms) => ms >= 1_500);
  t.true(slow.length < 3, `${slow} ms`);
});

test('each request is one line for the broker to count, with nothing of a client’s in it', async (t) => {
  const { cache, upstream, fallback, get } = await start(t);
  const blob = `library/app/blobs/${upstream.addBlob(randomBytes('counted', 100))}`;
  await get(blob);
  await get(blob, { at: fallback });
  await get('library/app/manifests/1', { at: localSocket(cache.config.paths), method: 'HEAD' });
  await get(`library/app/manifests/${sha('e')}`, { at: fallback });
  await get('library/app/tags/list?n=1');
  await cache.get('/v2/');
  await cache.get('/health-check');
  await cache.get('/secret\ttext?a=secret', { method: 'SECRET' }).catch(() => {});
  await get(blob, { method: 'PROPFIND', headers: { 'User-Agent': 'secret', Host: 'secret.test' } });
  const lines = await eventually(() => {
    const text = readFileSync(requestLog(cache.config.paths), 'utf8');
    // Each worker writes its own at another moment.
    const found = text.replace(/\n$/, '').split('\n').toSorted();
    assert(found.length >= 7, text);
    return found;
  });
  t.false(lines.join().includes('secret'));
  t.deepEqual(
    lines
      .map((line) => line.split('\t'))
      .map(([, mirror, address, kind, method, status, , , cached]) => [
        mirror,
        address,
        kind,
        method,
        status,
        cached,
      ]),
    [
      ['m', 'plain', 'blob', 'GET', '200', 'MISS'],
      ['m', 'fallback', 'blob', 'GET', '200', 'HIT'],
      ['m', 'local', 'tag', 'HEAD', '200', 'MISS'],
      ['m', 'fallback', 'manifest', 'GET', '404', 'MISS'],
      ['m', 'plain', 'list', 'GET', '200', 'MISS'],
      ['m', 'plain', 'ping', 'GET', '200', ''],
      ['m', 'plain', 'other', 'other', '403', ''],
    ],
  );
  for (const line of lines) t.regex(line, /^\d+[.]\d{3}\t(?:[^\t]*\t){5}\d+\t[\d.]+\t[A-Z]*\t[\d., :-]*$/);
});

/** The code of an answer that must be an error of the distribution specification. */
function errorCode(t: ExecutionContext, { headers, body }: Received): string {
  t.regex(String(headers['content-type']), /^application[/]json/);
  const [error] = JSON.parse(body.toString()).errors;
  t.is(typeof error.message, 'string');
  return error.code;
}

/** A cache of one upstream with one image `library/app:1`, and its further address `fallback`. */
async function start(t: ExecutionContext, changes: Partial<CacheConfig> = {}) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  upstream.addManifest('library/app', '1', { schemaVersion: 2 });
  const fallback = await freePort();
  const cache = await startCache(t, [mirrorOf(upstream)], {
    fallbackListen: [{ address: '127.0.0.1', port: fallback }],
    ...changes,
  });
  const get = (object: string, asked?: Asked) => cache.get(`/v2/${object}`, asked);
  return { cache, upstream, fallback, get };
}
