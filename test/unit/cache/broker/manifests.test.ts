import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { parseUpstream } from '../../../../src/api/upstream.ts';
import type { BrokerMirror } from '../../../../src/cache/broker/broker-config.ts';
import { upstreamIdentity } from '../../../../src/cache/upstream-identity.ts';
import { type BrokerAnswer, brokerConfig, mirrorOf, startBroker } from '../../../support/broker.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
const manifest = { schemaVersion: 2, mediaType: ociManifest, layers: [] };

async function setUp(
  t: ExecutionContext,
  content: object = manifest,
  mediaType = ociManifest,
  mirror: Partial<BrokerMirror> = {},
) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const digest = upstream.addManifest('a/b', 'v1', content, mediaType);
  const broker = await startBroker(t, [mirrorOf(`http://${upstream.host}`, mirror)]);
  const tag = (headers: Record<string, string> = {}, method = 'GET') =>
    broker.get('/m/v2/a/b/manifests/v1', { 'x-registry-accept': 'any', ...headers }, method);
  const byDigest = (name = digest) => broker.get(`/m/v2/a/b/manifests/${name}`);
  const methods = () => upstream.seen.map(({ method }) => method);
  return { upstream, broker, digest, tag, byDigest, methods };
}

test('a tag is answered with type, digest and the time it may be kept', async (t) => {
  const { tag, digest } = await setUp(t);
  const answer = await tag();
  t.is(answer.status, 200);
  t.deepEqual(JSON.parse(answer.body.toString()), manifest);
  t.is(answer.headers['content-type'], ociManifest);
  t.is(answer.headers['docker-content-digest'], digest);
  t.is(answer.headers.etag, `"${digest}"`);
  isKeptFor(t, answer, 60);
  t.is(answer.headers.vary, undefined);
});

test('what nginx means for another upstream is answered, but neither kept nor said to be what nginx has', async (t) => {
  const { upstream, tag, digest } = await setUp(t);
  const other = { 'x-upstream-identity': upstreamIdentity(parseUpstream('elsewhere.example')) };
  const known = { 'if-none-match': `"${digest}"` };
  for (const headers of [other, { ...other, ...known }]) {
    const { status, headers: got, body } = await tag(headers);
    t.is(status, 200);
    t.is(got['x-accel-expires'], '0');
    t.deepEqual(JSON.parse(body.toString()), manifest);
  }
  const same = { 'x-upstream-identity': upstreamIdentity(parseUpstream(`http://${upstream.host}`)) };
  isKeptFor(t, await tag(same), 60);
  t.is((await tag({ ...same, ...known })).status, 304);
});

test('a broker that is asked for an upstream it has not heard of yet looks at its configuration first', async (t) => {
  const [first, second] = [await startScriptableUpstream(), await startScriptableUpstream()];
  t.teardown(() => Promise.all([first.close(), second.close()]));
  first.addManifest('a/b', 'v1', { ...manifest, annotations: { of: 'the first' } });
  const digest = second.addManifest('a/b', 'v1', manifest);
  const broker = await startBroker(t, [mirrorOf(`http://${first.host}`)], {}, { followMs: 3_600_000 });
  broker.configure(brokerConfig(broker.dir, [mirrorOf(`http://${second.host}`)]));
  const asked = { 'x-upstream-identity': upstreamIdentity(parseUpstream(`http://${second.host}`)) };
  const answers = await Promise.all([1, 2, 3].map(() => broker.get('/m/v2/a/b/manifests/v1', asked)));
  for (const answer of answers) {
    t.is(answer.headers['docker-content-digest'], digest);
    isKeptFor(t, answer, 60);
  }
  t.is(first.seen.length, 0);
});

test('a broker that cannot take on the upstream it is asked for does not answer for the one before', async (t) => {
  const { upstream, broker, tag } = await setUp(t);
  const { sockets, ...bad } = brokerConfig(broker.dir, []);
  broker.configure(bad as typeof bad & { sockets: string[] });
  const other = { 'x-upstream-identity': upstreamIdentity(parseUpstream('elsewhere.example')) };
  for (const answer of [await tag(other), await tag(other)]) t.is(answer.status, 503);
  t.is(upstream.seen.length, 0);
  t.is((await tag()).status, 200);
});

test('a manifest by digest is kept for ever', async (t) => {
  const { byDigest } = await setUp(t);
  const answer = await byDigest();
  t.is(answer.status, 200);
  t.is(answer.headers['x-accel-expires'], '31536000');
});

test('a tag that nginx has is asked about by one HEAD and answered 304', async (t) => {
  const { tag, digest, methods } = await setUp(t);
  const answer = await tag({ 'if-none-match': `"${digest}"` });
  t.is(answer.status, 304);
  isKeptFor(t, answer, 60);
  t.deepEqual(methods(), ['HEAD']);
});

test('a tag that moved is fetched anew', async (t) => {
  const { upstream, tag, digest, methods } = await setUp(t);
  const moved = upstream.addManifest('a/b', 'v1', { ...manifest, annotations: { moved: 'yes' } });
  const answer = await tag({ 'if-none-match': `"${digest}"` });
  t.is(answer.status, 200);
  t.is(answer.headers['docker-content-digest'], moved);
  t.deepEqual(methods(), ['HEAD', 'GET']);
});

test('a tag of an upstream that is late to a HEAD is 504 after a second, and at once for those who come next', async (t) => {
  const { upstream, tag, digest } = await setUp(t);
  upstream.faults = { delayMs: 5_000 };
  const start = performance.now();
  t.is((await tag({ 'if-none-match': `"${digest}"` })).status, 504);
  const first = performance.now() - start;
  t.true(first >= 900 && first < 3_000, `first answer after ${first} ms`);
  t.is((await tag({ 'if-none-match': `"${digest}"` })).status, 504);
  t.true(performance.now() - start - first < first);
  t.is(upstream.counters.requests, 1);
});

test('a tag that moved at an upstream that is always late to a HEAD is told to those who ask next', async (t) => {
  const { upstream, tag, digest } = await setUp(t, manifest, ociManifest, { tagTtlSeconds: 1 });
  const known = { 'if-none-match': `"${digest}"` };
  const moved = upstream.addManifest('a/b', 'v1', { ...manifest, annotations: { moved: 'yes' } });
  upstream.faults = { headDelayMs: 1_500 };
  t.is((await tag(known)).status, 504);
  // Later than any failure stands, and than what was said counts.
  await delay(4_000);
  const answer = await tag(known);
  t.is(answer.status, 200);
  t.is(answer.headers['docker-content-digest'], moved);
});

test('those who revalidate a tag at the same time share one HEAD and, when it moved, one GET', async (t) => {
  const { upstream, tag, digest, methods } = await setUp(t, manifest, ociManifest, { tagTtlSeconds: 0 });
  upstream.faults = { delayMs: 250 };
  await Promise.all(Array.from({ length: 10 }, () => tag({ 'if-none-match': `"${digest}"` })));
  // On a busy machine the last of ten may come when the first was answered.
  const heads = methods().length;
  t.true(heads <= 3 && methods().every((method) => method === 'HEAD'));
  upstream.addManifest('a/b', 'v1', { ...manifest, annotations: { moved: 'yes' } });
  await Promise.all(Array.from({ length: 10 }, () => tag({ 'if-none-match': `"${digest}"` })));
  const later = methods().slice(heads);
  t.true(later.length <= 4);
  t.is(later.filter((method) => method === 'GET').length, 1);
});

test('a tag that moved is fetched once for those who waited for its HEAD and those who come after that', async (t) => {
  const { upstream, tag, digest, methods } = await setUp(t);
  const moved = upstream.addManifest('a/b', 'v1', { ...manifest, annotations: { moved: 'yes' } });
  upstream.faults = { headDelayMs: 0, delayMs: 500 };
  const known = { 'if-none-match': `"${digest}"` };
  const waited = tag(known);
  await tag(known, 'HEAD');
  for (const answer of await Promise.all([waited, tag()])) {
    t.is(answer.headers['docker-content-digest'], moved);
  }
  t.deepEqual(methods(), ['HEAD', 'GET']);
});

test('a HEAD of a cold tag costs a HEAD and no GET', async (t) => {
  const { tag, digest, methods } = await setUp(t);
  const answer = await tag({}, 'HEAD');
  t.is(answer.status, 200);
  t.is(answer.headers['docker-content-digest'], digest);
  t.is(answer.headers['content-length'], String(JSON.stringify(manifest).length));
  t.deepEqual(methods(), ['HEAD']);
});

for (const [first, second] of [
  ['GET', 'HEAD'],
  ['HEAD', 'GET'],
] as const) {
  test(`within its time a tag is to ${second} what it was to ${first}, and over at the same moment`, async (t) => {
    const { upstream, tag, digest, methods } = await setUp(t);
    const before = await tag({}, first);
    const moved = upstream.addManifest('a/b', 'v1', { ...manifest, annotations: { moved: 'yes' } });
    for (const known of [{}, { 'if-none-match': `"${moved}"` }]) {
      const { status, headers, body } = await tag(known, second);
      t.is(status, 200);
      t.is(headers['docker-content-digest'], digest);
      t.is(headers['x-accel-expires'], before.headers['x-accel-expires']);
      t.is(body.toString(), second === 'GET' ? JSON.stringify(manifest) : '');
    }
    t.deepEqual(methods(), first === 'GET' ? ['GET'] : ['HEAD', 'GET']);
  });
}

test('what HEAD was told and is gone upstream is what the tag is now to GET', async (t) => {
  const { upstream, tag, digest } = await setUp(t);
  await tag({}, 'HEAD');
  const moved = upstream.addManifest('a/b', 'v1', { ...manifest, annotations: { moved: 'yes' } });
  upstream.refuses = (_, path) => (path.endsWith(digest) ? 404 : undefined);
  t.is((await tag()).headers['docker-content-digest'], moved);
});

for (const status of [400, 403, 405]) {
  test(`an upstream that answers ${status} to digests is asked for a tag that moved by its name`, async (t) => {
    const { upstream, tag, digest } = await setUp(t);
    const moved = upstream.addManifest('a/b', 'v1', { ...manifest, annotations: { moved: 'yes' } });
    upstream.refuses = (_, path) => (path.includes('sha256:') ? status : undefined);
    t.is((await tag({ 'if-none-match': `"${digest}"` })).headers['docker-content-digest'], moved);
  });
}

test('background: while a tag that moved is fetched nobody waits for it', async (t) => {
  const background = { tagPolicy: 'background', tagTtlSeconds: 1 } as const;
  const { upstream, tag, digest, methods } = await setUp(t, manifest, ociManifest, background);
  upstream.addManifest('a/b', 'v1', { ...manifest, annotations: { moved: 'yes' } });
  upstream.faults = { headDelayMs: 0, delayMs: 3_000 };
  for (let asked = 0; asked < 5; asked += 1) {
    const start = performance.now();
    t.is((await tag({ 'if-none-match': `"${digest}"` })).status, 304);
    t.true(performance.now() - start < 2_500);
    await delay(200);
  }
  t.deepEqual(methods(), ['HEAD', 'GET']);
});

test('an upstream without HEAD is asked by GET, and an unchanged tag is still 304', async (t) => {
  const { upstream, tag, digest, methods } = await setUp(t);
  upstream.faults = { headStatus: 405 };
  t.is((await tag({ 'if-none-match': `"${digest}"` })).status, 304);
  t.is((await tag({}, 'HEAD')).headers['docker-content-digest'], digest);
  t.deepEqual(methods(), ['HEAD', 'GET']);
});

test('an upstream that states no digest gets the sha256 of what it sent', async (t) => {
  const { upstream, tag, digest } = await setUp(t);
  upstream.faults = { statedDigest: 'none' };
  t.is((await tag()).headers['docker-content-digest'], digest);
});

test('a tag that is not there is 404 for five seconds; where nginx has one that is gone, it keeps that and no 404', async (t) => {
  const { upstream, tag, digest } = await setUp(t);
  upstream.faults = { status: 404 };
  for (const [headers, kept] of [
    [{}, '5'],
    [{ 'if-none-match': `"${digest}"` }, '0'],
  ] as const) {
    const answer = await tag(headers);
    t.is(answer.status, 404);
    t.is(answer.headers['x-accel-expires'], kept);
  }
});

for (const [upstreamStatus, status, kept] of [
  [500, 502, 2],
  [502, 502, 2],
  [503, 503, 2],
  [504, 504, 2],
  [429, 503, 2],
  [401, 401, 1],
  [403, 403, 1],
  [418, 418, 0],
] as const) {
  test(`status ${upstreamStatus} of the upstream is ${status}, without a challenge, cold and revalidating`, async (t) => {
    const { upstream, tag, digest } = await setUp(t);
    upstream.faults = { status: upstreamStatus };
    const revalidating = upstreamStatus < 500 ? 0 : kept;
    for (const [headers, seconds] of [
      [{}, kept],
      [{ 'if-none-match': `"${digest}"` }, revalidating],
    ] as const) {
      const answer = await tag(headers);
      t.is(answer.status, status);
      t.is(answer.headers['www-authenticate'], undefined);
      t.is(typeof JSON.parse(answer.body.toString()).errors[0].code, 'string');
      t.is(answer.headers['x-accel-expires'], String(seconds));
    }
  });
}

for (const [what, faults] of Object.entries({
  'wrong bytes': { corrupt: true },
  'another stated digest': { statedDigest: `sha256:${'1'.repeat(64)}` },
  'a captive portal': { portal: true },
  'a content encoding': { contentEncoding: 'gzip' },
  'a body that ends early': { breakAfter: 10 },
})) {
  test(`${what} instead of a manifest is 502 and nothing of it is passed on`, async (t) => {
    const { upstream, tag, byDigest } = await setUp(t);
    upstream.faults = faults;
    const answer = await tag();
    t.is(answer.status, 502);
    t.is(answer.headers['docker-content-digest'], undefined);
    if (what !== 'another stated digest') t.is((await byDigest()).status, 502);
  });
}

for (const [what, content, faults] of [
  ['a content encoding', manifest, { contentEncoding: 'gzip' }],
  ['no bytes', manifest, { empty: true }],
  ['more than 4 MiB', { ...manifest, padding: 'x'.repeat(4 * 1024 * 1024) }, {}],
] as const) {
  test(`a tag of ${what} is 502 to HEAD as it is to GET`, async (t) => {
    const { upstream, tag, digest } = await setUp(t, content);
    upstream.faults = faults;
    for (const method of ['HEAD', 'GET']) t.is((await tag({}, method)).status, 502, method);
    // What nginx has was read whole.
    t.is((await tag({ 'if-none-match': `"${digest}"` }, 'HEAD')).status, 304);
    t.is((await tag({}, 'HEAD')).status, 502);
  });
}

test('an upstream that states a length or an encoding to HEAD alone is asked by GET', async (t) => {
  for (const faults of [{ contentEncoding: 'gzip' }, { empty: true }]) {
    const { upstream, tag, digest } = await setUp(t);
    upstream.faults = faults;
    // The request that is being answered keeps its own.
    upstream.refuses = () => {
      upstream.faults = {};
      return undefined;
    };
    const { status, headers } = await tag({}, 'HEAD');
    t.is(status, 200);
    t.is(headers['docker-content-digest'], digest);
    t.is(headers['content-length'], String(JSON.stringify(manifest).length));
  }
});

test('a manifest whose bytes are not the digest asked for is 502 whatever the upstream states', async (t) => {
  const { upstream, byDigest, digest } = await setUp(t);
  upstream.faults = { corrupt: true, statedDigest: digest };
  t.is((await byDigest()).status, 502);
});

test('a manifest larger than 4 MiB is 502', async (t) => {
  const { tag } = await setUp(t, { ...manifest, padding: 'x'.repeat(4 * 1024 * 1024) });
  t.is((await tag()).status, 502);
});

for (const [mediaType, content, expected] of [
  ['application/json', manifest, ociManifest],
  [
    'application/octet-stream',
    { schemaVersion: 2, manifests: [] },
    'application/vnd.oci.image.index.v1+json',
  ],
  ['application/vnd.example.new.v1+json; charset=utf-8', manifest, 'application/vnd.example.new.v1+json'],
  ['application/vnd.docker.distribution.manifest.v1+prettyjws', manifest, undefined],
  ['text/plain', { some: 'json' }, undefined],
] as const) {
  test(`a manifest that is sent as ${mediaType} is answered as ${expected ?? '502'}`, async (t) => {
    const { tag } = await setUp(t, content, mediaType);
    const answer = await tag();
    if (expected === undefined) t.is(answer.status, 502);
    else t.is(answer.headers['content-type'], expected);
  });
}

test('the class of Accept decides what the upstream is asked for; exact passes the client’s own and varies', async (t) => {
  const { upstream, broker, tag } = await setUp(t);
  await tag({ 'x-registry-accept': 'docker' });
  t.is(
    upstream.seen.at(-1)?.headers.accept,
    'application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json',
  );
  const exact = await tag({ 'x-registry-accept': 'exact', accept: 'application/x-own' });
  t.is(upstream.seen.at(-1)?.headers.accept, 'application/x-own');
  t.is(exact.headers.vary, 'Accept');
  t.is((await broker.get('/m/v2/a/b/manifests/v1')).headers.vary, 'Accept');
});

test('a tag list is passed with the parts of its query that the specification knows, and kept a second', async (t) => {
  const { broker, upstream } = await setUp(t);
  const answer = await broker.get('/m/v2/a/b/tags/list?n=1&last=x&ns=docker.io&evil=1');
  t.deepEqual(JSON.parse(answer.body.toString()), { name: 'a/b', tags: ['v1'] });
  t.is(answer.headers['x-accel-expires'], '1');
  t.is(upstream.seen.at(-1)?.url, '/v2/a/b/tags/list?n=1&last=x');
});

test('the next page of a tag list leads through us, by the way the client came', async (t) => {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  for (const tag of ['v1', 'v2']) upstream.addManifest('proxy/app', tag, manifest);
  const broker = await startBroker(t, [mirrorOf(`http://${upstream.host}/proxy`)]);
  const get = (query: string, headers = {}) => broker.get(`/m/v2/app/tags/list?${query}`, headers);
  t.is(JSON.parse((await get('n=1&last=&ns=')).body.toString()).name, 'app');
  t.is(upstream.seen.at(-1)?.url, '/v2/proxy/app/tags/list?n=1');
  t.is((await get('n=1&ns=')).headers.link, '</v2/app/tags/list?n=1&last=v1>; rel="next"');
  const prefixed = await get('n=1&ns=docker.io', { 'x-forwarded-prefix': '/v2/mirror.example' });
  t.is(prefixed.headers.link, '</v2/mirror.example/app/tags/list?n=1&last=v1&ns=docker.io>; rel="next"');
  const last = await get('n=1&last=v1');
  t.deepEqual(JSON.parse(last.body.toString()).tags, ['v2']);
  t.is(last.headers.link, undefined);
});

test('a list that does not exist is 404, a web page instead of it 502', async (t) => {
  const { broker, upstream } = await setUp(t);
  t.is((await broker.get('/m/v2/a/none/tags/list')).status, 404);
  upstream.faults = { portal: true };
  t.is((await broker.get('/m/v2/a/b/tags/list')).status, 502);
});

for (const path of [
  '/m/v2/A/manifests/v1',
  '/m/v2/a//b/manifests/v1',
  '/m/v2/../manifests/v1',
  '/m/v2/a%2fb/manifests/v1',
  '/m/v2/a/b/manifests/v1%00',
  '/m/v2/a/b/manifests/sha256:00',
  '/m/v2/a/b/blobs/latest',
  '/m/v2/_catalog',
  '/m/v2/',
  '/other/v2/a/b/manifests/v1',
  'http://elsewhere/m/v2/a/b/manifests/v1',
]) {
  test(`${path} is 404 and asks the upstream nothing`, async (t) => {
    const { broker, upstream } = await setUp(t);
    t.is((await broker.get(path)).status, 404);
    t.is(upstream.seen.length, 0);
  });
}

test('methods that change something are 405', async (t) => {
  const { broker, upstream } = await setUp(t);
  for (const method of ['PUT', 'POST', 'DELETE', 'PATCH']) {
    t.is((await broker.get('/m/v2/a/b/manifests/v1', {}, method)).status, 405);
  }
  t.is(upstream.seen.length, 0);
});

/** nginx is told a moment, that of the question and so many seconds. */
function isKeptFor(t: ExecutionContext, { headers }: BrokerAnswer, seconds: number): void {
  const validUntil = Number(headers['x-valid-until']);
  const left = validUntil - Date.now();
  t.true(left <= seconds * 1000 && left > seconds * 1000 - 10_000, String(left));
  t.is(headers['x-accel-expires'], `@${Math.floor(validUntil / 1000)}`);
}
