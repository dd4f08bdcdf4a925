/** Clients of a `passThrough` mirror read what the upstream lets them, and nothing else of what is kept. Real nginx. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { type CacheConfig, type CacheMirror, localSocket } from '../../src/cache/cache-config.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { randomBytes } from '../support/images.ts';
import { type Asked, mirrorOf, startCache } from '../support/nginx.ts';
import { startReplicas } from '../support/replicas.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';

const alice = basic('alice');
const bob = basic('bob');
const slice = 64 * 1024;

test('only clients whom the upstream lets read an object are served what is kept of it', async (t) => {
  const { upstream, get, objects, fallback } = await start(t);
  for (const object of objects) {
    t.is((await get(object, alice)).status, 200, object);
    for (const who of [bob, undefined, 'Basic nonsense']) {
      const before = upstream.counters.bytes;
      const plain = await get(object, who);
      t.is(plain.status, who === bob ? 403 : 401, object);
      if (who === bob) t.is(plain.headers['www-authenticate'], undefined);
      else t.is(plain.headers['www-authenticate'], 'Basic realm="upstream"');
      const other = await get(object, who, { at: fallback });
      t.is(other.status, 404, object);
      t.is(other.headers['www-authenticate'], undefined);
      for (const { body, headers } of [plain, other]) {
        t.is(typeof JSON.parse(body.toString()).errors[0].code, 'string');
        t.regex(String(headers['content-type']), /json/);
      }
      t.is(upstream.counters.bytes, before);
      t.is((await get(object, who, { method: 'HEAD' })).status, who === bob ? 403 : 401, object);
    }
    t.is((await get(object, alice, { at: fallback })).status, 200, object);
    if (!object.includes('list')) {
      t.is((await get(object, alice)).headers['x-cache-status'], 'HIT', object);
    }
  }
});

test('what one client is refused is not told to another, and takes no copy away', async (t) => {
  const { upstream, get } = await start(t, { tagTtlSeconds: 1 });
  const path = 'team/app/manifests/1';
  upstream.refuses = () => undefined;
  for (const who of [alice, bob]) t.is((await get(path, who)).status, 200);
  upstream.refuses = (authorization) => (authorization === alice ? 401 : undefined);
  await eventually(async () => {
    const [first, second] = [await get(path, alice), await get(path, bob)];
    assert.equal(second.status, 200, `${second.headers['x-cache-status']}`);
    assert.equal(first.status, 401);
  });
  for (let times = 0; times < 12; times += 1) {
    await get(path, alice);
    t.is((await get(path, bob)).status, 200);
    await delay(100);
  }
  upstream.faults = { status: 503 };
  for (let times = 0; times < 25; times += 1) {
    await get(path, alice);
    const { status, headers } = await get(path, bob);
    t.is(status, 200, `${times} ${headers['x-cache-status']}`);
    await delay(100);
  }
});

test('what nginx asks itself is not there for clients, and they are told so as of anything else', async (t) => {
  const { cache, upstream, fallback } = await start(t);
  for (const at of [cache.port, fallback]) {
    const { status, body, headers } = await cache.get('/-/authorize', { at });
    t.is(status, 404);
    t.is(headers['content-type'], 'application/json');
    t.is(JSON.parse(body.toString()).errors[0].code, 'NAME_UNKNOWN');
  }
  t.deepEqual(upstream.seen, []);
});

test('a blob of a repository that is not the client’s is not read by the name of one that is', async (t) => {
  const { upstream, get, digest } = await start(t);
  const kept = await get(`team/app/blobs/${digest}`, alice);
  t.is(kept.status, 200);
  upstream.refuses = (authorization, path) =>
    authorization !== bob ? undefined : path.startsWith('/v2/bob/') ? 404 : 403;
  const answer = await get(`bob/app/blobs/${digest}`, bob);
  t.is(answer.status, 404);
  t.true(answer.body.length < 200);
  const ranged = await get(`bob/app/blobs/${digest}`, bob, { headers: { Range: 'bytes=70000-70010' } });
  t.is(ranged.status, 404);
  for (const list of ['tags/list', `referrers/${digest}`]) {
    t.is((await get(`bob/app/${list}`, bob)).status, 404);
    t.is((await get(`team/app/${list}`, bob)).status, 403);
  }
});

test('the upstream is asked once in authTTL for a client and an object, however many ask at a time', async (t) => {
  // Longer than what follows takes on a machine that has much else to do.
  const { upstream, get, digest } = await start(t, { authTtlSeconds: 10 });
  const path = `team/app/blobs/${digest}`;
  await get(path, alice);
  const heads = () => upstream.seen.filter(({ method }) => method === 'HEAD').length;
  t.is(heads(), 1);
  await Promise.all(Array.from({ length: 8 }, () => get(path, alice)));
  t.is(heads(), 1);
  await Promise.all(Array.from({ length: 8 }, () => get('team/app/manifests/1', alice)));
  t.is(heads(), 2);
  await eventually(async () => {
    await Promise.all(Array.from({ length: 8 }, () => get(path, alice)));
    assert.equal(heads(), 3);
  });
  upstream.refuses = () => 403;
  await eventually(async () => assert.equal((await get(path, alice)).status, 403));
});

test('a client whose token is over hears the challenge, and nobody else’s permission ends', async (t) => {
  const { upstream, get, digest, fallback } = await start(t, {}, { sliceSizeKiB: slice / 1024 });
  const carol = basic('carol');
  let welcome = [alice, carol];
  upstream.refuses = (authorization) => (welcome.includes(authorization ?? '') ? undefined : 401);
  const tag = 'team/app/manifests/1';
  const blob = `team/app/blobs/${digest}`;
  const later = { headers: { Range: `bytes=${slice}-` } };
  for (const who of [alice, carol]) {
    t.is((await get(tag, who, { method: 'HEAD' })).status, 200);
    t.is((await get(blob, who, { headers: { Range: 'bytes=0-0' } })).status, 206);
  }
  welcome = [carol];
  for (const [object, asked] of [
    [tag, {}],
    [blob, later],
  ] as const) {
    const { status, headers } = await get(object, alice, asked);
    t.is(status, 401, object);
    // nginx adds that of the answer which it turned aside, and it is the same one.
    t.deepEqual(
      new Set(headers['www-authenticate']?.split(', ')),
      new Set(['Basic realm="upstream"']),
      object,
    );
    const other = await get(object, alice, { ...asked, at: fallback });
    t.deepEqual([other.status, other.headers['www-authenticate']], [404, undefined], object);
  }
  t.is((await get(tag, alice, { method: 'HEAD' })).status, 401);
  const seen = upstream.seen.length;
  t.is((await get(tag, carol, { method: 'HEAD' })).headers['x-cache-status'], 'HIT');
  await eventually(async () => assert.equal((await get(tag, carol)).status, 200));
  await eventually(async () => assert.equal((await get(blob, carol, later)).status, 206));
  t.true(upstream.seen.slice(seen).every(({ method }) => method === 'GET'));
});

test('a client whose token is over hears the challenge from every replica, without another question', async (t) => {
  const { upstream, passThrough } = await startUpstream(t);
  const { caches } = await startReplicas(t, passThrough, 2);
  const headers = { Authorization: alice };
  for (const { get } of caches)
    t.is((await get('/v2/team/app/manifests/1', { method: 'HEAD', headers })).status, 200);
  upstream.refuses = () => 401;
  for (const { get } of caches) {
    upstream.seen.length = 0;
    const answer = await get('/v2/team/app/manifests/1', { headers });
    t.is(answer.status, 401);
    t.deepEqual(
      new Set(answer.headers['www-authenticate']?.split(', ')),
      new Set(['Basic realm="upstream"']),
    );
    t.true(upstream.seen.every(({ headers }) => headers.authorization === alice));
  }
});

test('while the upstream is away, what it allowed goes on and what it was not asked about is 503', async (t) => {
  const { cache, upstream, get, objects, fallback } = await start(t, { authTtlSeconds: 1, tagTtlSeconds: 1 });
  const known = objects.filter((object) => !object.includes('list'));
  for (const object of known) t.is((await get(object, alice)).status, 200);
  await upstream.close();
  // The last moments of authTTL say nothing.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  for (const object of known) {
    t.is((await get(object, alice)).status, 200, object);
    for (const at of [cache.port, fallback]) t.is((await get(object, bob, { at })).status, 503, object);
  }
});

test('without a broker nobody is let in here, and hits of other mirrors go on', async (t) => {
  const { cache, upstream, get, digest, authority, fallback } = await start(t);
  const shared = mirrorOf(upstream, {
    name: 'shared',
    masquerade: 'shared.test',
    names: [],
    caFiles: [authority.file],
  });
  upstream.refuses = undefined;
  await cache.reload([cache.config.mirrors[0]!, shared]);
  const paths = [`team/app/blobs/${digest}`, 'team/app/manifests/1'];
  for (const path of paths) {
    t.is((await get(`mirror.test/${path}`, alice)).status, 200);
    t.is((await get(`shared.test/${path}`)).status, 200);
  }
  await cache.stopBroker();
  for (const path of paths) {
    for (const at of [cache.port, fallback]) {
      t.is((await get(`mirror.test/${path}`, alice, { at })).status, 503, path);
      const { status, headers } = await get(`shared.test/${path}`, undefined, { at });
      t.deepEqual([status, headers['x-cache-status']], [200, 'HIT'], path);
    }
  }
});

test('every subset of cached slices: exact bytes for who may, none for who may not', async (t) => {
  const { cache, upstream, get } = await start(t, {}, { sliceSizeKiB: slice / 1024 });
  upstream.redirect = { blobs: true };
  const count = 4;
  for (let bits = 0; bits < 2 ** count; bits += 1) {
    const bytes = randomBytes(`subset ${bits}`, (count - 1) * slice + 1_234);
    const path = `team/app/blobs/${upstream.addBlob(bytes)}`;
    for (let index = 0; index < count; index += 1) {
      const at = index * slice + 7;
      if ((bits & (1 << index)) === 0) continue;
      t.is((await get(path, alice, { headers: { Range: `bytes=${at}-${at}` } })).body[0], bytes[at]);
    }
    const from = Math.floor(Math.random() * bytes.length);
    t.is((await get(path, bob)).status, 403);
    const part = await get(path, alice, { headers: { Range: `bytes=${from}-` } });
    t.is(part.status, 206);
    t.true(part.body.equals(bytes.subarray(from)), `${bits.toString(2)} from ${from}`);
    cache.evict(0.5);
    const whole = await get(path, alice);
    t.is(whole.status, 200);
    t.true(whole.body.equals(bytes), bits.toString(2));
    t.true((await get(path, alice)).body.equals(bytes), `${bits.toString(2)} kept`);
  }
});

test('GET /v2/ is the upstream’s answer, with its last challenge while it is away', async (t) => {
  const { cache, upstream, fallback } = await start(t);
  const ping = (authorization?: string, at = cache.port) =>
    cache.get('/v2/', {
      ...(authorization && { headers: { Authorization: authorization } }),
      at,
    });
  const refused = await ping();
  t.is(refused.status, 401);
  t.is(refused.headers['www-authenticate'], 'Basic realm="upstream"');
  t.is((await ping(alice)).status, 200);
  t.is((await ping(undefined, fallback)).status, 200);
  await upstream.close();
  const away = await ping();
  t.is(away.status, 401);
  t.is(away.headers['www-authenticate'], 'Basic realm="upstream"');
});

test('a client without credentials reads what anybody may, by a token that anybody gets', async (t) => {
  const { upstream, get, objects } = await start(t, {});
  upstream.refuses = undefined;
  upstream.auth = { kind: 'bearer' };
  for (const object of objects) t.is((await get(object)).status, 200, object);
  upstream.denied = 'private';
  const { status, headers } = await get('private/app/manifests/1');
  t.is(status, 401);
  t.regex(String(headers['www-authenticate']), /^Bearer realm="https:[^"]*[/]token",service="scripted"/);
});

test('a client without credentials hears the challenge whatever the token server answers to anybody', async (t) => {
  const { upstream, get, digest, fallback } = await start(t, {});
  upstream.refuses = undefined;
  for (const tokenStatus of [400, 401, 403, 404, 429, 500, 503]) {
    upstream.auth = { kind: 'bearer', tokenStatus };
    for (const object of [`${tokenStatus}/app/blobs/${digest}`, `${tokenStatus}/app/manifests/1`]) {
      const bare = await get(object);
      t.is(bare.status, 401, object);
      t.regex(
        String(bare.headers['www-authenticate']),
        /^Bearer realm="https:[^"]*[/]token",service="scripted"/,
      );
      const other = await get(object, undefined, { at: fallback });
      const status = tokenStatus === 401 || tokenStatus === 403 ? 404 : 503;
      t.deepEqual([other.status, other.headers['www-authenticate']], [status, undefined], object);
    }
  }
});

test('a page for logging in is no permission', async (t) => {
  const { upstream, get, digest } = await start(t);
  const paths = [`team/app/blobs/${digest}`, 'team/app/manifests/1'];
  for (const path of paths) t.is((await get(path, alice)).status, 200);
  upstream.refuses = undefined;
  upstream.faults = { portal: true };
  for (const path of paths) t.is((await get(path, bob)).status, 503);
});

test('the pod itself is asked for nothing, and a list keeps its query', async (t) => {
  const { cache, upstream, get, digest } = await start(t);
  await get(`team/app/blobs/${digest}`, alice);
  t.is(
    (await get(`team/app/blobs/${digest}`, undefined, { at: localSocket(cache.config.paths) })).status,
    200,
  );
  upstream.addManifest('team/app', '2', { second: true });
  const { body } = await get('team/app/tags/list?n=1', alice);
  t.deepEqual(JSON.parse(body.toString()).tags, ['1']);
});

test('no client’s header is in a log, a key or a file', async (t) => {
  const { cache, get, objects } = await start(t);
  for (const object of objects) {
    await get(object, alice);
    await get(object, basic('mallory'));
  }
  const root = join(cache.config.paths.runDir, '..');
  const texts = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
  t.true(texts.length > 8);
  for (const secret of [alice, basic('mallory')].map((header) => header.split(' ')[1] ?? '')) {
    t.false(texts.some((text) => text.includes(secret)));
  }
});

/** An upstream where `alice` may read everything, `bob` is known and may read nothing, and nobody else is known. */
async function startUpstream(t: ExecutionContext, mirror: Partial<CacheMirror> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'pass-through-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const authority = await makeAuthority(dir);
  const leaf = await makeLeaf(authority, ['127.0.0.1']);
  const upstream = await startScriptableUpstream({ tls: { cert: leaf.certificatePem, key: leaf.keyPem } });
  t.teardown(() => upstream.close());
  upstream.refuses = (authorization) =>
    authorization === alice ? undefined : authorization === bob ? 403 : 401;
  upstream.auth = { kind: 'none', challenge: 'Basic realm="upstream"' };
  const manifest = upstream.addManifest('team/app', '1', { schemaVersion: 2 });
  const digest = upstream.addBlob(randomBytes('kept', 100_000));
  const passThrough = mirrorOf(upstream, { access: 'passThrough', caFiles: [authority.file], ...mirror });
  return { upstream, authority, manifest, digest, passThrough };
}

/** A mirror of it. */
async function start(
  t: ExecutionContext,
  mirror: Partial<CacheMirror> = {},
  changes: Partial<CacheConfig> = {},
) {
  const { upstream, authority, manifest, digest, passThrough } = await startUpstream(t, mirror);
  const fallback = await freePort();
  const cache = await startCache(t, [passThrough], {
    fallbackListen: [{ address: '127.0.0.1', port: fallback }],
    ...changes,
  });
  const objects = [
    `team/app/blobs/${digest}`,
    'team/app/manifests/1',
    `team/app/manifests/${manifest}`,
    'team/app/tags/list',
  ];
  const get = (object: string, authorization?: string, { headers = {}, ...asked }: Asked = {}) =>
    cache.get(`/v2/${object}`, {
      ...asked,
      headers: { ...headers, ...(authorization !== undefined && { Authorization: authorization }) },
    });
  return { cache, upstream, authority, fallback, get, objects, digest };
}

function basic(user: string): string {
  return `Basic ${Buffer.from(`${user}:very-secret-of-${user}`).toString('base64')}`;
}
