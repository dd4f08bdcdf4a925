/** What a purge removes from a real nginx, and that the next request is answered by the upstream. */
import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import { brokerSocket, type CacheMirror } from '../../src/cache/cache-config.ts';
import { ask } from '../support/broker.ts';
import { eventually } from '../support/eventually.ts';
import { randomBytes } from '../support/images.ts';
import { mirrorOf, startCache, type TestCache } from '../support/nginx.ts';
import { type ScriptableUpstream, startScriptableUpstream } from '../support/scriptable-upstream.ts';

const accepts = [
  {},
  { accept: 'application/vnd.oci.image.manifest.v1+json' },
  { accept: 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json' },
];
const slice = 64 * 1024;

async function start(
  t: ExecutionContext,
  mirror: (upstream: ScriptableUpstream) => Partial<CacheMirror> = () => ({}),
) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const cache = await startCache(t, [mirrorOf(upstream, mirror(upstream))], { sliceSizeKiB: slice / 1024 });
  return {
    upstream,
    cache,
    purge: (repository: string, reference?: string) => purge(cache, repository, reference),
  };
}

async function purge(cache: TestCache, repository: string, reference?: string) {
  const { status, body } = await post(cache, { mirror: 'm', repository, reference });
  assert.equal(status, 200, body.toString());
  return JSON.parse(body.toString()) as { removed: number; bytes: number };
}

function post(cache: TestCache, body: unknown, path = '/-/purge') {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return ask(brokerSocket(cache.config.paths), path, {}, 'POST', text);
}

async function cacheStatus(cache: TestCache, path: string, asked = {}): Promise<string> {
  const { status, headers } = await cache.get(path, asked);
  assert.equal(status, 200);
  return String(headers['x-cache-status']);
}

/** An image with one layer of three slices; returns the paths of all its objects. */
function push(upstream: ScriptableUpstream, repository: string, tag: string, seed: string) {
  const layer = upstream.addBlob(randomBytes(seed, 3 * slice - 5));
  const manifest = { schemaVersion: 2, layers: [{ digest: layer }], annotations: { repository } };
  const digest = upstream.addManifest(repository, tag, manifest);
  const below = `/v2/${repository}`;
  return {
    layer,
    digest,
    tag: `${below}/manifests/${tag}`,
    manifest: `${below}/manifests/${digest}`,
    blob: `${below}/blobs/${layer}`,
    list: `${below}/tags/list`,
  };
}

test('a tag is purged for every Accept and method, and what was pushed is served at once', async (t) => {
  const { upstream, cache, purge } = await start(t);
  const image = push(upstream, 'app', '1', 'tag');
  const other = push(upstream, 'app', '2', 'tag');
  for (const headers of accepts) await cacheStatus(cache, image.tag, { headers });
  await cacheStatus(cache, image.tag, { method: 'HEAD' });
  await cacheStatus(cache, other.tag);
  await cacheStatus(cache, image.blob);
  const moved = push(upstream, 'app', '1', 'moved');
  t.like(await purge('app', '1'), { removed: 4 });
  for (const headers of accepts) {
    const answer = await cache.get(image.tag, { headers });
    t.is(answer.headers['x-cache-status'], 'MISS');
    t.is(answer.headers['docker-content-digest'], moved.digest);
  }
  t.is(await cacheStatus(cache, image.tag, { method: 'HEAD' }), 'MISS');
  t.is(await cacheStatus(cache, other.tag), 'HIT');
  t.is(await cacheStatus(cache, image.blob), 'HIT');
});

test('a manifest is purged by its digest, with the tags that are copies of it', async (t) => {
  const { upstream, cache, purge } = await start(t);
  const [image, other] = [push(upstream, 'app', '1', 'one'), push(upstream, 'app', '2', 'two')];
  for (const { tag, manifest } of [image, other]) {
    await cacheStatus(cache, tag);
    await cacheStatus(cache, manifest);
  }
  t.like(await purge('app', image.digest), { removed: 2 });
  for (const path of [image.tag, image.manifest]) t.is(await cacheStatus(cache, path), 'MISS', path);
  for (const path of [other.tag, other.manifest]) t.is(await cacheStatus(cache, path), 'HIT', path);
});

test('a blob is purged by its digest, every slice of it, and is whole afterwards', async (t) => {
  const { upstream, cache, purge } = await start(t);
  const image = push(upstream, 'app', '1', 'blob');
  const { body } = await cache.get(image.blob);
  const removed = await purge('app', image.layer);
  t.is(removed.removed, 3);
  t.true(removed.bytes >= body.length);
  const again = await cache.get(image.blob);
  t.is(again.headers['x-cache-status'], 'MISS');
  t.true(again.body.equals(body));
  t.is(await cacheStatus(cache, image.blob), 'HIT');
});

test('a repository is purged with its blobs, but for those that another repository has too', async (t) => {
  const { upstream, cache, purge } = await start(t);
  const [image, shared] = [push(upstream, 'app', '1', 'own'), push(upstream, 'app', '2', 'shared')];
  const other = push(upstream, 'app/other', '1', 'shared');
  for (const { tag, manifest, blob, list } of [image, shared, other]) {
    for (const path of [tag, manifest, blob, list]) await cacheStatus(cache, path);
  }
  await cache.get('/v2/app/manifests/none');
  await purge('app');
  upstream.addManifest('app', 'none', { schemaVersion: 2 });
  for (const path of [
    image.tag,
    image.manifest,
    image.list,
    image.blob,
    shared.tag,
    '/v2/app/manifests/none',
  ]) {
    t.is(await cacheStatus(cache, path), 'MISS', path);
  }
  for (const path of [shared.blob, other.tag, other.manifest])
    t.is(await cacheStatus(cache, path), 'HIT', path);
  t.deepEqual(await purge('nothing/here'), { removed: 0, bytes: 0 });
});

test('on Docker Hub both spellings of an official image are one repository', async (t) => {
  const { upstream, cache, purge } = await start(t, ({ scheme, host }) => ({
    upstream: { scheme, host, pathPrefix: '', dockerHub: true, names: ['docker.io'] },
  }));
  push(upstream, 'library/nginx', '1', 'hub');
  const [short, long] = ['/v2/nginx/manifests/1', '/v2/library/nginx/manifests/1'];
  for (const repository of ['nginx', 'library/nginx']) {
    for (const path of [short, long]) await cacheStatus(cache, path);
    t.like(await purge(repository), { removed: 2 });
    for (const path of [short, long]) t.is(await cacheStatus(cache, path), 'MISS');
  }
});

test('a manifest that was being asked for when it was purged is answered and not kept', async (t) => {
  const { upstream, cache, purge } = await start(t);
  const image = push(upstream, 'app', '1', 'running');
  upstream.faults = { drip: 1 };
  const asked = cache.get(image.tag);
  await eventually(() => assert(upstream.counters.bytes > 0));
  await purge('app', '1');
  upstream.faults = {};
  const moved = push(upstream, 'app', '1', 'meanwhile');
  t.is((await asked).headers['docker-content-digest'], image.digest);
  const { headers } = await cache.get(image.tag);
  t.is(headers['x-cache-status'], 'MISS');
  t.is(headers['docker-content-digest'], moved.digest);
});

test('a slice that was being written when it was purged is sent whole and not kept', async (t) => {
  const { upstream, cache, purge } = await start(t);
  const bytes = randomBytes('being written', slice);
  const digest = upstream.addBlob(bytes);
  const path = `/v2/app/blobs/${digest}`;
  upstream.faults = { drip: 512 };
  const asked = cache.get(path, { headers: { Range: `bytes=0-${slice - 1}` } });
  await eventually(() => assert(upstream.counters.bytes > 8 * 1024));
  t.is((await purge('app', digest)).removed, 1);
  const { body, complete } = await asked;
  t.true(complete && body.equals(bytes));
  upstream.faults = {};
  t.is(await cacheStatus(cache, path), 'MISS');
  t.is(await cacheStatus(cache, path), 'HIT');
});

test('orders that cannot be followed say why, and a GET purges nothing', async (t) => {
  const { upstream, cache } = await start(t);
  const image = push(upstream, 'app', '1', 'faults');
  await cacheStatus(cache, image.tag);
  for (const [body, status, message] of [
    [{ mirror: 'x', repository: 'app' }, 404, /no such mirror/],
    [{ mirror: 'm', repository: '../app' }, 400, /repository: expected the name of a repository/],
    [{ mirror: 'm', repository: 'app', reference: 'a tag' }, 400, /reference: expected a tag or a digest/],
    [{ mirror: 'm', repository: 'app', more: 1 }, 400, /more/],
    [{ mirror: 'm' }, 400, /repository/],
    ['{', 400, /expected JSON/],
    [' '.repeat(70_000), 400, /at most 65536 bytes/],
  ] as const) {
    const answer = await post(cache, body);
    t.is(answer.status, status, answer.body.toString());
    t.regex(answer.body.toString(), message);
  }
  t.is((await ask(brokerSocket(cache.config.paths), '/-/purge')).status, 404);
  t.is((await post(cache, {}, '/-/other')).status, 405);
  t.is(await cacheStatus(cache, image.tag), 'HIT');
});
