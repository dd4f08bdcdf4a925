/** What nobody honest sends: refused, or served as the object it names; never stored, never passed on, never waited for. Real nginx. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { nginxPidFile } from '../../src/cache/cache-config.ts';
import { eventually } from '../support/eventually.ts';
import { digestOf, randomBytes } from '../support/images.ts';
import { mirrorOf, startCache, type TestCache } from '../support/nginx.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';
import { standInBroker } from '../support/stand-in-broker.ts';

const tagged = '/v2/library/app/manifests/1';
const headers = 'Host: mirror.test\r\nConnection: close\r\n';

test('a path that names no object costs the upstream nothing and leaves nothing', async (t) => {
  const { cache, upstream } = await start(t);
  const long = 'a'.repeat(300);
  const targets = [
    '/../../etc/passwd',
    '/v2/../../../etc/passwd',
    '/v2/%2e%2e/%2e%2e/etc/passwd',
    '/v2/library/app/manifests/1%00',
    '/v2/library%00/app/manifests/1',
    '/v2/library/app/manifests/1%0a',
    '/v2/library/app/manifests/1%0d%0aX-Injected:%201',
    '/v2/library/app/manifests/1%3fns=evil.test',
    '/v2/library/app/manifests/1%252e',
    '/v2/library/app/manifests/..%2f..%2f1',
    '/v2/library/app/manifests/%2e%2e',
    '/v2/library/app/manifests/1/',
    '/v2/library/app/manifests/',
    '/v2/library/app/manifests/1;x',
    '/v2/library/app/blobs/sha256:..%2f..%2f',
    `/v2/library/app/blobs/sha256:${'A'.repeat(64)}`,
    `/v2/library/app/blobs/sha256:${'a'.repeat(63)}`,
    `/v2/library/app/blobs/sha512:${'a'.repeat(64)}`,
    '/v2/manifests/1',
    '/v2//manifests/1',
    '/v2/-/manifests/1',
    '/v2/Library/app/manifests/1',
    '/v2/lib rary/app/manifests/1',
    '/v2/lib%20rary/app/manifests/1',
    '/v2/l%c3%afbrary/app/manifests/1',
    '/v2/%ff%fe/app/manifests/1',
    `/v2/${long}/manifests/1`,
    `/v2/library/app/manifests/${'a'.repeat(129)}`,
    `/v2/${'a/'.repeat(200)}b/manifests/1`,
    '/v2/library/app/tags/list/x',
    '/v2/library/app/uploads/',
    '/v2/_catalog',
    '/v2/_catalog?n=1',
    '/v1/_ping',
    '/m/v2/library/app/manifests/1',
    '/-/status',
    '/m/-/ping',
    '/-/authorize',
    '/-/error',
    '/v2/library/app/manifests/1\\..\\2',
  ];
  for (const target of targets) {
    const { status, body } = await send(cache, `GET ${target} HTTP/1.1\r\n${headers}\r\n`);
    t.true(status === 404 || status === 400, `${target}: ${status}`);
    t.regex(body, /^\{"errors":\[\{"code":"[A-Z_]+","message":"[^"]*"\}\]\}$/, target);
  }
  t.deepEqual(upstream.seen, []);
  t.deepEqual(stored(cache), []);
});

test('another way to write a path is the same object, asked of the upstream and kept under its own name', async (t) => {
  const { cache, upstream } = await start(t);
  const expected = await send(cache, `GET ${tagged} HTTP/1.1\r\n${headers}\r\n`);
  t.is(expected.status, 200);
  const kept = stored(cache);
  for (const target of [
    '/v2/library/./app/manifests/1',
    '/v2/other/../library/app/manifests/1',
    '/v2/other/%2e%2e/library/app/manifests/1',
    '//v2//library//app//manifests//1',
    '/v2/library%2fapp/manifests/1',
    '/v2/libr%61ry/app/manifests/%31',
    '/v2/library/app/manifests/1#fragment',
  ]) {
    const { status, body } = await send(cache, `GET ${target} HTTP/1.1\r\n${headers}\r\n`);
    t.deepEqual([status, body], [200, expected.body], target);
  }
  t.deepEqual([...new Set(upstream.seen.map(({ url }) => url))], [tagged]);
  t.deepEqual(stored(cache), kept);
});

test('nobody’s proxy: absolute targets, CONNECT and TRACE are refused', async (t) => {
  const { cache, upstream } = await start(t);
  for (const line of [
    `GET http://evil.test${tagged}`,
    `GET https://mirror.test${tagged}`,
    `GET HTTP://mirror.test${tagged}`,
    `GET ftp://mirror.test${tagged}`,
    'CONNECT evil.test:443',
    'CONNECT mirror.test:443',
    `TRACE ${tagged}`,
    `get ${tagged}`,
    `GET  evil.test${tagged}`,
    'GET *',
    'OPTIONS *',
  ]) {
    const { status, body } = await send(cache, `${line} HTTP/1.1\r\n${headers}\r\n`);
    t.true([400, 405].includes(status), `${line}: ${status}`);
    t.regex(body, /^\{"errors":/, line);
  }
  t.deepEqual(upstream.seen, []);
});

test('the first ?ns= decides; others, and whatever else is in a query, reach nobody', async (t) => {
  const { cache, upstream } = await start(t);
  const cases: readonly [query: string, status: number][] = [
    ['ns=evil.test', 404],
    ['ns=evil.test&ns=mirror.test', 404],
    ['ns=mirror.test&ns=evil.test', 200],
    ['ns=mirror.test%00', 404],
    ['ns=mirror.test/../evil.test', 404],
    ['ns=mirror.test@evil.test', 404],
    ['ns=*', 404],
    ['ns=-', 404],
    ['ns=m', 404],
    ['ns=default', 404],
    ['x=1&%6es=evil.test', 200],
    [`x=${'y'.repeat(2000)}`, 200],
    ['evil=%0d%0aX:1', 200],
  ];
  const blob = `/v2/library/app/blobs/${upstream.addBlob(randomBytes('queried', 1000))}`;
  for (const path of [tagged, blob]) {
    for (const [query, status] of cases) {
      t.is((await cache.get(`${path}?${query}`)).status, status, `${path} ${query}`);
    }
  }
  t.deepEqual([...new Set(upstream.seen.map(({ url }) => url))], [tagged, blob]);
});

test('what is too large is refused before it is read whole', async (t) => {
  const { cache, upstream } = await start(t);
  const large = 'x'.repeat(60_000);
  const cases: readonly [text: string, status: number][] = [
    [`GET ${tagged}?x=${large} HTTP/1.1\r\n${headers}\r\n`, 414],
    [`GET ${tagged} HTTP/1.1\r\n${headers}X-Large: ${large}\r\n\r\n`, 400],
    [`GET ${tagged} HTTP/1.1\r\n${headers}Range: bytes=${'0-0,'.repeat(12_000)}0-0\r\n\r\n`, 400],
    [`GET ${tagged} HTTP/1.1\r\n${headers}${'X-Many: 1\r\n'.repeat(5_000)}\r\n`, 400],
    [`GET ${tagged} HTTP/1.1\r\n${headers}Content-Length: 100000000\r\n\r\n`, 413],
  ];
  for (const [text, status] of cases) {
    // nginx waits a moment for the rest of what it has refused.
    const answer = await send(cache, text, ']}');
    t.is(answer.status, status, text.slice(0, 60));
    t.regex(answer.body, /^\{"errors":/);
  }
  t.deepEqual(upstream.seen, []);
});

const smuggled = `GET /v2/library/smuggled/manifests/1 HTTP/1.1\r\nHost: mirror.test\r\n\r\n`;
const chunk = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;
for (const [name, text] of Object.entries({
  'Content-Length and Transfer-Encoding': `Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
  'Transfer-Encoding and Content-Length': `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${chunk}`,
  'two Content-Length': `Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  'a list of Content-Length': `Content-Length: ${smuggled.length}, 0\r\n\r\n${smuggled}`,
  'a negative Content-Length': `Content-Length: -1\r\n\r\n${smuggled}`,
  'a signed Content-Length': `Content-Length: +${smuggled.length}\r\n\r\n${smuggled}`,
  'a hexadecimal Content-Length': `Content-Length: 0x1\r\n\r\n${smuggled}`,
  'an unknown Transfer-Encoding': `Transfer-Encoding: xchunked\r\n\r\n${chunk}`,
  'a list of Transfer-Encoding': `Transfer-Encoding: identity, chunked\r\n\r\n${chunk}`,
  'two Transfer-Encoding': `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${chunk}`,
  'a space before the colon': `Transfer-Encoding : chunked\r\n\r\n${chunk}`,
  'a folded header': `X-Folded: 1\r\n Transfer-Encoding: chunked\r\n\r\n${chunk}`,
  'a control character': `Transfer-Encoding: chunked\u000b\r\n\r\n${chunk}`,
  'a chunk of a wrong size': `Transfer-Encoding: chunked\r\n\r\nzz\r\n${smuggled}`,
  'a NUL in a header': `X-Nul: a\u0000b\r\n\r\n${smuggled}`,
  'two Host': `Host: evil.test\r\n\r\n${smuggled}`,
})) {
  test(`a request that can be read in two ways (${name}) is refused and its connection ended`, async (t) => {
    const { cache, upstream } = await start(t);
    const { status, all } = await send(cache, `GET ${tagged} HTTP/1.1\r\nHost: mirror.test\r\n${text}`);
    t.true([400, 501].includes(status), String(status));
    t.is(all.match(/HTTP[/]1[.]1 /g)?.length, 1);
    t.false(upstream.seen.some(({ url }) => url.includes('smuggled')));
    t.deepEqual(stored(cache), []);
  });
}

for (const [name, text] of Object.entries({
  'a length': `Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  chunks: `Transfer-Encoding: chunked\r\n\r\n${chunk}`,
})) {
  test(`a body with ${name} on a GET is nobody’s request`, async (t) => {
    const { cache, upstream } = await start(t);
    for (const path of [tagged, '/v2/', '/nothing', '/health-check']) {
      const after = `GET /v2/library/after/manifests/1 HTTP/1.1\r\n${headers}\r\n`;
      const { all } = await send(cache, `GET ${path} HTTP/1.1\r\nHost: mirror.test\r\n${text}${after}`);
      t.is(all.match(/HTTP[/]1[.]1 /g)?.length, 2, path);
    }
    t.false(upstream.seen.some(({ url }) => url.includes('smuggled')));
    t.true(upstream.seen.some(({ url }) => url.includes('/after/')));
    t.true(upstream.seen.every((seen) => seen.headers['content-length'] === undefined));
  });
}

test('headers by which nginx and the broker talk are nobody else’s to send', async (t) => {
  const { cache, upstream } = await start(t);
  const digest = upstream.addBlob(randomBytes('told', 10));
  const broker = await standInBroker(t, cache, (_, response) => {
    response.writeHead(200, { 'X-Accel-Expires': '0' }).end('{}');
  });
  const lies = {
    'X-Address-Kind': 'peer',
    'X-Registry-Accept': 'lie',
    'X-Upstream-Identity': 'lie',
    'X-Forwarded-Prefix': '/lie',
    Authorization: 'lie',
    'Proxy-Authorization': 'lie',
    Cookie: 'lie',
    'Accept-Encoding': 'lie',
    'X-Registry-Refresh': '1',
  };
  const cased = Object.fromEntries(Object.entries(lies).map(([name, value]) => [name.toLowerCase(), value]));
  for (const sent of [lies, cased]) {
    for (const path of [tagged, `/v2/library/app/blobs/${digest}`, '/v2/library/app/tags/list']) {
      await cache.get(path, {
        headers: { ...sent, 'X-Accel-Redirect': '/health-check', 'X-Accel-Expires': '9999' },
      });
    }
  }
  const seen = broker.seen.flat();
  t.is(seen.length, 6);
  for (const request of seen) {
    t.is(request.headers['x-address-kind'], 'plain');
    t.is(request.rawHeaders.filter((name) => name.toLowerCase() === 'x-address-kind').length, 1);
    for (const name of Object.keys(cased)) {
      if (name !== 'x-registry-refresh') t.not(request.headers[name], cased[name], name);
    }
    t.is(request.headers['content-length'], undefined);
  }
  t.deepEqual(stored(cache), []);
});

test('whatever ranges are asked for, the bytes are right and no more than the blob has', async (t) => {
  const { cache, upstream } = await start(t);
  const size = 200_000;
  const bytes = randomBytes('ranged', size);
  const path = `/v2/library/app/blobs/${upstream.addBlob(bytes)}`;
  const many = Array.from({ length: 900 }, (_, index) => `${index}-${index + 100_000}`).join(',');
  const wholes = [
    'bytes=abc',
    'items=0-1',
    'bytes=5-2',
    'bytes=',
    'bytes=-',
    `bytes=${many}`,
    'bytes=0-,0-,0-',
    'bytes=0-0,70000-70001',
    'bytes=--5',
    'bytes=0-1,',
    'none',
  ];
  for (const round of ['cold', 'warm']) {
    for (const Range of [...wholes, 'bytes=18446744073709551616-', 'bytes=0-99999999999999999999999']) {
      const { status, body, complete } = await cache.get(path, { headers: { Range } });
      t.true(complete);
      t.true([200, 206, 400, 416].includes(status), `${round} ${Range.slice(0, 40)}: ${status}`);
      if (status === 200) t.true(body.equals(bytes), Range.slice(0, 40));
      t.true(body.length <= size, `${round} ${Range.slice(0, 40)}: ${body.length} bytes`);
    }
    for (const [Range, from, to] of [
      ['bytes=-5', size - 5, size],
      ['bytes=-999999999', 0, size],
      ['bytes=65535-65536', 65_535, 65_537],
      ['bytes=199999-99999999', size - 1, size],
      ['Bytes=10-19', 10, 20],
    ] as const) {
      const { status, body } = await cache.get(path, { headers: { Range } });
      t.true(
        body.equals(bytes.subarray(status === 200 ? 0 : from, status === 200 ? size : to)),
        `${round} ${Range}`,
      );
      const head = await cache.get(path, { method: 'HEAD', headers: { Range } });
      t.true([200, 206].includes(head.status), `${round} HEAD ${Range}`);
      t.is(head.body.length, 0);
    }
    for (const Range of [`bytes=${size}-`, 'bytes=99999999-']) {
      t.is((await cache.get(path, { headers: { Range } })).status, 416, `${round} ${Range}`);
    }
  }
});

test('what an upstream says beside an object is not passed on, and what is no object is not kept', async (t) => {
  const manifest = Buffer.from('{"schemaVersion":2}');
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const cruel = {
    'Set-Cookie': 'session=1',
    Vary: '*',
    'X-Accel-Redirect': '/health-check',
    'X-Accel-Expires': '9',
    'X-Accel-Limit-Rate': '1',
    'Cache-Control': 'private',
    'Strict-Transport-Security': 'max-age=1',
    'Content-Security-Policy': 'x',
  };
  let lie: Record<string, string> = {};
  let body = manifest;
  const server = createServer(({ url }, response) => {
    const isBlob = url?.includes('/blobs/');
    response.writeHead(200, { 'Content-Type': isBlob ? 'application/octet-stream' : type, ...cruel, ...lie });
    response.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const cache = await startCache(t, [mirrorOf({ scheme: 'http', host: `127.0.0.1:${port}` })]);
  // What failed is remembered for two seconds, for its repository.
  const paths = (repository: string) => [
    `/v2/${repository}/blobs/${digestOf(manifest)}`,
    `/v2/${repository}/manifests/${digestOf(manifest)}`,
    `/v2/${repository}/manifests/1`,
  ];
  for (const [name, faulty, headersOf] of [
    ['page', Buffer.from('<html>log in</html>'), { 'Content-Type': 'text/html' }],
    ['packed', manifest, { 'Content-Encoding': 'gzip' }],
    ['other-bytes', Buffer.from('{"schemaVersion":3}'), { 'Docker-Content-Digest': digestOf(manifest) }],
  ] as const) {
    [body, lie] = [faulty, headersOf];
    for (const path of paths(name)) {
      const answer = await cache.get(path).catch(() => undefined);
      t.false(answer?.complete === true && answer.status < 500, `${name} ${path} ${answer?.status}`);
      t.false(answer?.body.includes('<html>') ?? false);
    }
    t.deepEqual(storedBodies(cache, faulty), [], name);
  }
  [body, lie] = [manifest, {}];
  for (const path of paths('sound')) {
    const answer = await eventually(async () => {
      const got = await cache.get(path);
      assert.equal(got.headers['x-cache-status'], 'HIT');
      return got;
    });
    t.deepEqual([answer.status, answer.body.toString()], [200, manifest.toString()], path);
    const passed = Object.keys(cruel).filter((header) => answer.headers[header.toLowerCase()] !== undefined);
    t.deepEqual(passed, [], path);
  }
});

test('only GET, HEAD and OPTIONS', async (t) => {
  const { cache, upstream } = await start(t);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'MKCOL', 'COPY', 'PROPFIND', 'PURGE', 'M-SEARCH']) {
    for (const path of [tagged, '/v2/', '/health-check', '/v2/library/app/blobs/uploads/', '/']) {
      const { status, body } = await send(
        cache,
        `${method} ${path} HTTP/1.1\r\n${headers}Content-Length: 0\r\n\r\n`,
      );
      t.is(status, 403, `${method} ${path}`);
      t.regex(body, /"DENIED"/);
    }
  }
  t.deepEqual(upstream.seen, []);
});

/** A cache of one upstream with one image `library/app:1`; its nginx has to live through the test. */
async function start(t: ExecutionContext) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  upstream.addManifest('library/app', '1', { schemaVersion: 2 });
  const cache = await startCache(t, [mirrorOf(upstream)], { sliceSizeKiB: 64 });
  const before = workers(cache);
  assert.equal(before.length, 3);
  // Teardowns run last first: nginx is still there.
  t.teardown(() => assert.deepEqual(workers(cache), before, 'a worker of nginx died'));
  return { cache, upstream };
}

/** Process ids of nginx's workers and its cache manager. */
function workers(cache: TestCache): string[] {
  const pid = readFileSync(nginxPidFile(cache.config.paths), 'utf8').trim();
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return children
    .filter((child) => !readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('loader'))
    .toSorted();
}

/** Names of the files in the mirror's cache. */
function stored(cache: TestCache): string[] {
  const dir = cache.config.mirrors[0]!.cacheDir;
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true })
    .map(String)
    .filter((name) => /[0-9a-f]{32}$/.test(name))
    .toSorted();
}

/** Files of the cache that hold these bytes. */
function storedBodies(cache: TestCache, bytes: Buffer): string[] {
  const dir = cache.config.mirrors[0]!.cacheDir;
  return stored(cache).filter((name) => readFileSync(join(dir, name)).includes(bytes));
}

/**
 * Sends bytes as they are, and reads until the other side ends, or has said `until`. Rejects when it does not within five seconds.
 */
async function send(cache: TestCache, text: string, until?: string) {
  const socket = connect({ host: '127.0.0.1', port: cache.port, ca: cache.authority.certificatePem });
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  await once(socket, 'secureConnect');
  const said = Promise.withResolvers<void>();
  socket.on('data', () => {
    if (until !== undefined && Buffer.concat(pieces).includes(until)) said.resolve();
  });
  const ended = Promise.race([once(socket, 'end'), once(socket, 'close'), said.promise]);
  // What is refused early is not read to its end.
  socket.on('error', () => {});
  socket.write(Buffer.from(text, 'latin1'));
  const isOver = await Promise.race([ended.then(() => true), delay(5_000, false, { ref: false })]);
  socket.destroy();
  assert(isOver, `no end of the answer to ${JSON.stringify(text.slice(-80))}: ${Buffer.concat(pieces)}`);
  const all = Buffer.concat(pieces).toString('latin1');
  const at = all.indexOf('\r\n\r\n');
  return { all, status: Number(/^HTTP[/]1[.]1 (\d+)/.exec(all)?.[1]), body: all.slice(at + 4) };
}
