/** What clients see of the cache: real nginx and broker, an upstream that counts and fails on demand. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { CacheMirror } from '../../src/cache/cache-config.ts';
import { eventually } from '../support/eventually.ts';
import { digestOf, randomBytes } from '../support/images.ts';
import { mirrorOf, type Received, startCache } from '../support/nginx.ts';
import { type ScriptableUpstream, startScriptableUpstream } from '../support/scriptable-upstream.ts';

const accept = {
  index: 'application/vnd.oci.image.index.v1+json',
  oci: 'application/vnd.oci.image.manifest.v1+json',
  list: 'application/vnd.docker.distribution.manifest.list.v2+json',
  docker: 'application/vnd.docker.distribution.manifest.v2+json',
};
const tagged = '/v2/library/app/manifests/1';

test('24 cold clients: one download upstream, and all of them have their first byte long before its end', async (t) => {
  const { cache, upstream } = await start(t, { tagTtlSeconds: 60 }, { sliceSizeKiB: 1024 });
  const bytes = randomBytes('large', 24 * 2 ** 20);
  const path = `/v2/library/app/blobs/${upstream.addBlob(bytes)}`;
  upstream.auth = { kind: 'bearer' };
  upstream.redirect = { blobs: true };
  // About 25 MB/s.
  upstream.cdnFaults = { drip: 256 * 1024 };
  const answers = await Promise.all(Array.from({ length: 24 }, () => cache.get(path)));
  for (const { status, body } of answers) {
    t.is(status, 200);
    t.is(digestOf(body), digestOf(bytes));
  }
  t.is(upstream.counters.bytes, bytes.length);
  t.is(upstream.counters.tokens, 1);
  t.is(upstream.counters.redirects, 1);
  const slowest = Math.max(...answers.map(({ totalMs }) => totalMs));
  const lateFirst = Math.max(...answers.map(({ firstByteMs }) => firstByteMs));
  t.log(`first bytes within ${lateFirst.toFixed(0)} ms, all whole within ${slowest.toFixed(0)} ms`);
  t.true(lateFirst < slowest / 2);
});

test('GET /v2/, /v2 and /health-check are answered without broker and upstream', async (t) => {
  const { cache, upstream } = await start(t);
  await cache.stopBroker();
  for (const path of ['/v2/', '/v2', '/health-check']) t.is((await cache.get(path)).status, 200, path);
  t.is((await cache.get('/v2/')).headers['docker-distribution-api-version'], 'registry/2.0');
  t.is(upstream.counters.requests, 0);
});

test('methods that change something are 403, OPTIONS says which do not', async (t) => {
  const { cache, upstream } = await start(t);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    t.is((await cache.get(tagged, { method })).status, 403, method);
  }
  const options = await cache.get(tagged, { method: 'OPTIONS' });
  t.is(options.status, 200);
  t.is(options.headers['allow'], 'GET, HEAD, OPTIONS');
  t.is(upstream.counters.requests, 0);
});

test('what is no object of a registry is 404 and costs the upstream nothing', async (t) => {
  const { cache, upstream } = await start(t);
  const paths = [
    '/',
    '/v2/_catalog',
    '/v2/library/app',
    '/v2/Library/app/manifests/1',
    '/v2/library/app/manifests/-bad',
    '/v2/library/app/blobs/sha256:abc',
    `/v2/library/app/blobs/md5:${'a'.repeat(64)}`,
    `/v2/${'a/'.repeat(128)}b/manifests/1`,
    '/v2/library/../manifests/1',
    '/v2/library//app/uploads/1',
  ];
  for (const path of paths) t.is((await cache.get(path)).status, 404, path);
  t.is(upstream.counters.requests, 0);
});

test('a prefix, ?ns= and Host choose the mirror; a name that is not its own is 404', async (t) => {
  const first = await startScriptableUpstream();
  const second = await startScriptableUpstream();
  t.teardown(() => Promise.all([first.close(), second.close()]));
  const digests = [first, second].map((upstream, index) =>
    upstream.addManifest('library/app', '1', { index }),
  );
  const mirrors = [
    {
      ...mirrorOf(first),
      name: 'one',
      masquerade: 'one.test',
      names: ['first.test', 'both.test', 'ported.test:5000'],
    },
    { ...mirrorOf(second), name: 'two', masquerade: 'two.test:8443', names: ['second.test', 'both.test'] },
  ];
  const cache = await startCache(t, mirrors);
  const cases: readonly [path: string, host: string, expected: string | undefined][] = [
    ['/v2/one.test/library/app/manifests/1', 'any', digests[0]],
    ['/v2/two.test:8443/library/app/manifests/1', 'any', digests[1]],
    ['/v2/two.test:8443/library/app/manifests/1', 'one.test', digests[1]],
    ['/v2/library/app/manifests/1', 'one.test', digests[0]],
    ['/v2/library/app/manifests/1', 'ONE.test:5000', digests[0]],
    ['/v2/library/app/manifests/1', 'second.test', digests[1]],
    ['/v2/library/app/manifests/1', 'two.test:8443', digests[1]],
    ['/v2/library/app/manifests/1', 'two.test', undefined],
    ['/v2/library/app/manifests/1', 'both.test', undefined],
    ['/v2/library/app/manifests/1', 'other.test', undefined],
    ['/v2/library/app/manifests/1?ns=first.test', 'any', digests[0]],
    ['/v2/library/app/manifests/1?ns=ported.test%3A5000', 'any', digests[0]],
    ['/v2/library/app/manifests/1?ns=ported.test:5000', 'any', digests[0]],
    ['/v2/library/app/manifests/1?ns=second.test', 'one.test', digests[1]],
    ['/v2/library/app/manifests/1?ns=both.test', 'one.test', digests[0]],
    ['/v2/library/app/manifests/1?ns=both.test', 'any', undefined],
    ['/v2/library/app/manifests/1?ns=other.test', 'one.test', undefined],
    ['/v2/one.test/library/app/manifests/1?ns=first.test', 'any', digests[0]],
    ['/v2/one.test/library/app/manifests/1?ns=both.test', 'any', digests[0]],
    ['/v2/one.test/library/app/manifests/1?ns=second.test', 'any', undefined],
    ['/v2/one.test/library/app/manifests/1?ns=other.test', 'any', undefined],
  ];
  for (const [path, Host, expected] of cases) {
    const { status, headers } = await cache.get(path, { headers: { Host } });
    t.is(headers['docker-content-digest'], expected, `${path} ${Host}`);
    t.is(status, expected === undefined ? 404 : 200, `${path} ${Host}`);
  }
});

test('a single mirror answers to any Host, but not to a foreign ?ns=', async (t) => {
  const { cache } = await start(t);
  t.is((await cache.get(tagged, { headers: { Host: 'whatever.test' } })).status, 200);
  t.is((await cache.get(`${tagged}?ns=mirror.test`)).status, 200);
  t.is((await cache.get(`${tagged}?ns=whatever.test`)).status, 404);
});

test('a HEAD of a tag costs the upstream a HEAD and no GET, and a GET is not answered from it', async (t) => {
  const { cache, upstream } = await start(t);
  const head = await cache.get(tagged, { method: 'HEAD' });
  t.is(head.status, 200);
  t.is(head.body.length, 0);
  t.true(Number(head.headers['content-length']) > 0);
  await cache.get(tagged, { method: 'HEAD' });
  t.deepEqual(methods(upstream), ['HEAD']);
  const { body } = await cache.get(tagged);
  t.is(body.length, Number(head.headers['content-length']));
  t.is(head.headers['docker-content-digest'], digestOf(body));
});

for (const [first, second] of [
  ['GET', 'HEAD'],
  ['HEAD', 'GET'],
] as const) {
  test(`within its time a tag that moved after a ${first} is the same to ${second}, and to ${first} again`, async (t) => {
    const { cache, upstream, digest } = await start(t);
    await cache.get(tagged, { method: first });
    upstream.addManifest('library/app', '1', { pushed: true });
    for (const method of [second, first, second]) {
      t.is((await cache.get(tagged, { method })).headers['docker-content-digest'], digest, method);
    }
    t.deepEqual(methods(upstream), first === 'GET' ? ['GET'] : ['HEAD', 'GET']);
  });
}

test.serial(
  'within its time a tag is served from the cache; after that one HEAD decides, however many ask',
  async (t) => {
    const { cache, upstream, digest } = await start(t, { tagTtlSeconds: 1 });
    const ask = () => cache.get(tagged);
    await ask();
    await ask();
    t.deepEqual(methods(upstream), ['GET']);
    await eventually(async () => assert.equal((await ask()).headers['x-cache-status'], 'REVALIDATED'));
    t.deepEqual(methods(upstream), ['GET', 'HEAD']);
    const pushed = upstream.addManifest('library/app', '1', { pushed: true });
    t.not(pushed, digest);
    await expired();
    // Each of them is later than the tag's time: none may see the old one.
    const answers = await Promise.all(Array.from({ length: 10 }, ask));
    for (const { headers, body } of answers) {
      t.is(headers['docker-content-digest'], pushed);
      t.is(digestOf(body), pushed);
    }
    t.is(methods(upstream).filter((method) => method === 'GET').length, 2);
  },
);

test('a tag is served stale whatever the upstream fails with', async (t) => {
  const { cache, upstream, digest } = await start(t, { tagTtlSeconds: 1 });
  await cache.get(tagged);
  await cache.get(tagged, { method: 'HEAD' });
  const faults = [
    { status: 429 },
    { status: 500 },
    { status: 502 },
    { status: 503 },
    { portal: true },
    { delayMs: 8_000 },
  ];
  for (const fault of faults) {
    await expired();
    upstream.faults = fault;
    for (const method of ['GET', 'HEAD']) {
      const { status, headers, totalMs } = await cache.get(tagged, { method });
      const said = `${JSON.stringify(fault)} ${method}`;
      t.is(status, 200, said);
      t.is(headers['docker-content-digest'], digest, said);
      t.true(totalMs < 6_000, said);
    }
    upstream.faults = {};
  }
});

test('with the upstream gone, and then the broker too, what is cached is served', async (t) => {
  const { cache, upstream, digest } = await start(t, { tagTtlSeconds: 1 });
  const bytes = randomBytes('kept', 300_000);
  const paths = [
    tagged,
    `/v2/library/app/manifests/${digest}`,
    `/v2/library/app/blobs/${upstream.addBlob(bytes)}`,
  ];
  const before = await all(paths, (path) => cache.get(path));
  await upstream.close();
  await expired();
  for (const _ of ['upstream gone', 'broker gone']) {
    const after = await all(paths, (path) => cache.get(path));
    t.deepEqual(
      after.map(({ status, body }) => [status, digestOf(body)]),
      before.map(({ body }) => [200, digestOf(body)]),
    );
    await cache.stopBroker();
  }
  for (const path of ['manifests/1', `blobs/sha256:${'d'.repeat(64)}`]) {
    t.is((await cache.get(`/v2/library/other/${path}`)).status, 502);
  }
});

test('a 429 of the upstream never reaches a client', async (t) => {
  const { cache, upstream } = await start(t);
  upstream.faults = { status: 429, retryAfter: '7' };
  for (const path of [tagged, `/v2/library/app/blobs/sha256:${'a'.repeat(64)}`]) {
    const { status, headers } = await cache.get(path);
    t.is(status, 503, path);
    t.is(headers['retry-after'], '7', path);
  }
});

test('404 stays 404 for a moment only, and 401 comes without a challenge', async (t) => {
  const { cache, upstream } = await start(t);
  const path = '/v2/library/app/manifests/new';
  const missing = await cache.get(path);
  t.is(missing.status, 404);
  t.is(JSON.parse(missing.body.toString()).errors[0].code, 'MANIFEST_UNKNOWN');
  await cache.get(path);
  t.is(upstream.counters.requests, 1);
  upstream.addManifest('library/app', 'new', { new: true });
  await eventually(async () => assert.equal((await cache.get(path)).status, 200));
  upstream.auth = { kind: 'basic', username: 'u', password: 'p' };
  const refused = await cache.get('/v2/library/private/manifests/1');
  t.is(refused.status, 401);
  t.is(refused.headers['www-authenticate'], undefined);
});

// Those that measure time run before the others of this file, one after another.
test.serial('those who wait for one failing fill fail together', async (t) => {
  const { cache, upstream } = await start(t);
  upstream.faults = { status: 503, delayMs: 300 };
  const path = `/v2/library/app/blobs/sha256:${'b'.repeat(64)}`;
  await cache.get(path);
  const ofOne = upstream.counters.requests;
  const other = path.replace(/b{64}/, 'c'.repeat(64));
  const answers = await Promise.all(Array.from({ length: 6 }, () => cache.get(other)));
  t.deepEqual(new Set(answers.map(({ status }) => status)), new Set([503]));
  t.is(upstream.counters.requests, 2 * ofOne);
  const times = answers.map(({ totalMs }) => totalMs);
  // A waiter looks every 500 ms.
  t.true(Math.max(...times) - Math.min(...times) < 1_500);
});

for (const status of [401, 403, 404, 429, 503]) {
  test.serial(
    `24 who wait for one object that is ${status} fail together, and another repository has its blob`,
    async (t) => {
      const { cache, upstream } = await start(t);
      const digest = upstream.addBlob(randomBytes('shared', 5_000));
      for (const object of [`blobs/${digest}`, 'manifests/none']) {
        upstream.faults = { status, delayMs: 300 };
        const before = upstream.counters.requests;
        const answers = await Promise.all(
          Array.from({ length: 24 }, () => cache.get(`/v2/library/nowhere/${object}`)),
        );
        upstream.faults = {};
        t.deepEqual(
          new Set(answers.map((answer) => answer.status)),
          new Set([status === 429 ? 503 : status]),
        );
        const times = answers.map(({ totalMs }) => totalMs);
        const spread = Math.max(...times) - Math.min(...times);
        const asked = upstream.counters.requests - before;
        t.log(
          `${object.slice(0, 9)}: all within ${Math.max(...times).toFixed(0)} ms, spread ${spread.toFixed(0)} ms, ${asked} requests`,
        );
        // A 503 is tried three times.
        t.true(asked <= 3);
        t.true(spread < 2_000);
        if (object.startsWith('blobs')) t.is((await cache.get(`/v2/library/app/${object}`)).status, 200);
      }
    },
  );
}

test('a later slice that one repository lacks is whole for another', async (t) => {
  const { cache, upstream } = await start(t, {}, { sliceSizeKiB: 1024 });
  const bytes = randomBytes('shared slices', 3 * 2 ** 20);
  const object = `blobs/${upstream.addBlob(bytes)}`;
  await cache.get(`/v2/library/app/${object}`, { headers: { Range: 'bytes=0-9' } });
  upstream.faults = { status: 404 };
  for (const start of [2 ** 20, 2 ** 21]) {
    const headers = { Range: `bytes=${start}-` };
    t.is((await cache.get(`/v2/library/nowhere/${object}`, { headers })).status, 404);
  }
  upstream.faults = {};
  const { status, body, complete } = await cache.get(`/v2/library/app/${object}`);
  t.is(status, 200);
  t.true(complete && body.equals(bytes));
});

test('a later slice that fails breaks the answer off, also while its failure stands', async (t) => {
  const { cache, upstream } = await start(t, {}, { sliceSizeKiB: 1024 });
  const bytes = randomBytes('slices', 3 * 2 ** 20);
  const path = `/v2/library/app/blobs/${upstream.addBlob(bytes)}`;
  const firstSlice = { headers: { Range: 'bytes=0-9' } };
  t.is((await cache.get(path, firstSlice)).status, 206);
  for (const status of [404, 403, 503]) {
    upstream.faults = { status };
    const begun = performance.now();
    for (const when of ['found out', 'standing']) {
      // Undefined: reset before anything of it had come.
      const answer = await cache.get(path).catch(() => undefined);
      // A refusal stands for a second: on a machine that stood still meanwhile, all of the blob may be right again.
      const isOver = when === 'standing' && performance.now() - begun > 900;
      if (!isOver) t.not(answer?.complete, true, `${status}, ${when}`);
      t.true(bytes.subarray(0, answer?.body.length ?? 0).equals(answer?.body ?? Buffer.of()), String(status));
      // What stands is the failure of the slice; asked for without a range, the upstream would give all of the blob.
      upstream.faults = {};
    }
    await eventually(async () => assert((await cache.get(path)).body.equals(bytes)));
    cache.evict();
    await cache.get(path, firstSlice);
  }
});

test('a list is kept a moment for one repository, query and way to ask, and served when the upstream fails', async (t) => {
  const { cache, upstream } = await start(t);
  upstream.addManifest('library/app', '2', { second: true });
  upstream.addManifest('library/other', '1', { other: true });
  const list = async (query: string, repository = 'library/app') => {
    const { body, headers } = await cache.get(`/v2/${repository}/tags/list${query}`);
    return { ...JSON.parse(body.toString()), link: headers.link };
  };
  const whole = { name: 'library/app', tags: ['1', '2'], link: undefined };
  const link = '</v2/library/app/tags/list?n=1&last=1>; rel="next"';
  t.deepEqual(await list('?n=1'), { name: 'library/app', tags: ['1'], link });
  t.deepEqual(await list(''), whole);
  t.deepEqual(await list('?evil=1'), whole);
  t.deepEqual(await list('', 'library/other'), { name: 'library/other', tags: ['1'], link: undefined });
  t.regex((await list('?n=1&ns=mirror.test')).link, /ns=mirror[.]test/);
  t.regex((await list('?n=1', 'mirror.test/library/app')).link, /^<[/]v2[/]mirror[.]test[/]/);
  await expired();
  upstream.faults = { status: 503 };
  t.deepEqual(await list(''), whole);
  upstream.faults = {};
  upstream.addManifest('library/app', '3', { third: true });
  await eventually(async () => assert.equal((await list('')).tags.length, 3));
});

for (const [title, parameter, link] of [
  ['under a parameter of its own', 'next_page', (target: string) => `<${target}>; rel="next"`],
  [
    'behind the one before',
    'last',
    (target: string) => `</v2/x?last=1&n=1>; rel="prev", <${target}>; rel="next"`,
  ],
  [
    'in a header of its own',
    'last',
    (target: string) => ['</v2/x?last=1&n=1>; rel="prev"', `<${target}>; rel=next`],
  ],
] as const) {
  test(`who follows the links of a list gets every tag once where the upstream tells the next page ${title}`, async (t) => {
    const { cache, upstream } = await start(t);
    const tags = ['1', '2', '3', '4'];
    for (const tag of tags.slice(1)) upstream.addManifest('library/app', tag, { tag });
    upstream.listPages = { parameter, link: (target) => link(target) };
    const seen: string[] = [];
    let path: string | undefined = '/v2/library/app/tags/list?n=1&ns=mirror.test';
    while (path !== undefined && seen.length < 10) {
      const { body, headers } = await cache.get(path);
      seen.push(...JSON.parse(body.toString()).tags);
      path = /^<([^>]+)>; rel="next"$/.exec(String(headers.link))?.[1];
    }
    t.deepEqual(seen, tags);
  });
}

test('what no link of ours says about a page neither reaches the upstream nor makes another entry', async (t) => {
  const { cache, upstream } = await start(t);
  const hostile = [
    '2',
    '%3f',
    'x%3D1',
    `%3F${'a'.repeat(5000)}`,
    '%3Fa%0d%0ab',
    '%3Fa%23b',
    '%3F%ff=1',
    '%3F"=<>',
  ];
  for (const page of hostile) {
    const { status, body } = await cache.get(`/v2/library/app/tags/list?page=${page}`);
    t.is(status, 200, page);
    t.deepEqual(JSON.parse(body.toString()).tags, ['1']);
  }
  t.deepEqual([...new Set(upstream.seen.map(({ url }) => url))], ['/v2/library/app/tags/list']);
});

test('a range or a condition that cannot be met is an error of the specification, each header once, cold or kept', async (t) => {
  const { cache, upstream, digest } = await start(t, {}, { sliceSizeKiB: 64 });
  const size = 70_000;
  const blob = () => `blobs/${upstream.addBlob(randomBytes(`unmet ${upstream.seen.length}`, size))}`;
  const asked = [
    [{ Range: `bytes=${size}-` }, 416],
    [{ Range: 'bytes=5-4' }, 416],
    [{ 'If-Match': '"x"' }, 412],
  ] as const;
  for (const [headers, status] of asked) {
    // A range of a manifest may be passed over, as it is of one that is not kept.
    const others = 'Range' in headers ? [] : [`manifests/${digest}`, 'manifests/1', 'tags/list'];
    for (const object of [blob(), ...others]) {
      for (const method of ['GET', 'GET', 'HEAD', 'GET']) {
        const said = `${method} ${object} ${JSON.stringify(headers)}`;
        const path = `/v2/library/app/${object}`;
        const answer = await cache.get(path, { method, headers });
        t.is(answer.status, status, said);
        t.true(answer.complete, said);
        t.is(answer.headers['content-type'], 'application/json', said);
        t.is(answer.headers['docker-distribution-api-version'], 'registry/2.0', said);
        t.regex(answer.headers['x-cache-status'] as string, /^(?:MISS|HIT|EXPIRED|REVALIDATED)$/, said);
        if (method === 'GET') t.is(JSON.parse(answer.body.toString()).errors[0].code, 'UNSUPPORTED', said);
        // The last round finds it kept.
        if (method === 'HEAD') t.is((await cache.get(path)).status, 200, said);
      }
    }
  }
});

test("a client's credentials reach neither upstream nor log, and control headers do not reach the client", async (t) => {
  const { cache, upstream } = await start(t);
  const headers = {
    Authorization: 'Bearer very-secret',
    Cookie: 'very=secret',
    'Proxy-Authorization': 'very-secret',
  };
  const answer = await cache.get(`${tagged}?token=very-secret`, { headers });
  t.is(answer.status, 200);
  t.false(JSON.stringify(upstream.seen).includes('very'));
  t.deepEqual(
    Object.keys(answer.headers).filter((name) => name.startsWith('x-accel')),
    [],
  );
  const line = await eventually(() => {
    const text = readFileSync(cache.config.accessLog, 'utf8');
    assert.match(text, /manifests/);
    return JSON.parse(text.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
  });
  t.false(JSON.stringify(line).includes('very'));
  t.like(line, { mirror: 'm', status: 200, cache: 'MISS', method: 'GET' });
});

test('clients that can read other things get answers of their own, however they write Accept', async (t) => {
  const { cache, upstream } = await start(t);
  const all = Object.values(accept);
  const asked = async (Accept?: string | string[], agent = 'curl/8') => {
    const before = upstream.seen.length;
    const headers: Record<string, string | string[]> = { 'User-Agent': agent };
    if (Accept !== undefined) headers['Accept'] = Accept;
    const { headers: got } = await cache.get(tagged, { headers });
    return {
      cached: got['x-cache-status'],
      sent: upstream.seen.slice(before).map(({ headers }) => headers.accept),
    };
  };
  // Everything, as containerd, as skopeo and docker, and as somebody who says nothing: one entry.
  t.is((await asked(all.join(', '))).cached, 'MISS');
  t.is((await asked([accept.oci, accept.docker, accept.list, accept.index], 'skopeo/1.9.3')).cached, 'HIT');
  t.is(
    (await asked([accept.docker, accept.list, accept.index, accept.oci], 'docker/24.0.7 go/go1.20')).cached,
    'HIT',
  );
  t.is((await asked()).cached, 'HIT');
  t.is((await asked('*/*')).cached, 'HIT');
  // One type only: asked of the upstream as it is, and kept apart from other single types.
  const docker = await asked(accept.docker);
  t.deepEqual(docker, { cached: 'MISS', sent: [accept.docker] });
  t.is((await asked(accept.oci)).cached, 'MISS');
  t.is((await asked(accept.docker)).cached, 'HIT');
  t.is((await asked(accept.oci)).cached, 'HIT');
  // Lines of their own from somebody nobody knows: never mistaken for the first line alone.
  const lines = await asked([accept.docker, accept.list], 'unknown/1');
  t.is(lines.cached, 'MISS');
  t.regex(String(lines.sent[0]), /manifest\.list/);
});

test('a reload with another mirror drops no download', async (t) => {
  const { cache, upstream } = await start(t);
  const bytes = randomBytes('slow', 4 * 2 ** 20);
  upstream.faults = { drip: 32 * 1024 };
  const download = cache.get(`/v2/library/app/blobs/${upstream.addBlob(bytes)}`);
  await eventually(() => assert(upstream.counters.bytes > 0));
  const first = cache.config.mirrors[0]!;
  await cache.reload([first, { ...first, name: 'n', masquerade: 'other.test', names: [] }]);
  upstream.faults = {};
  const { body, complete } = await download;
  t.true(complete && body.equals(bytes));
  t.is((await cache.get('/v2/other.test/library/app/manifests/1')).status, 200);
});

test('the cache stays within its size', async (t) => {
  const { cache, upstream } = await start(t, { maxSizeMiB: 4 }, { sliceSizeKiB: 1024 });
  for (let index = 0; index < 12; index += 1) {
    const bytes = randomBytes(`many ${index}`, 2 ** 20);
    t.is((await cache.get(`/v2/library/app/blobs/${upstream.addBlob(bytes)}`)).status, 200);
  }
  const dir = cache.config.mirrors[0]!.cacheDir;
  const files = () =>
    readdirSync(dir, { recursive: true }).filter((name) => /[0-9a-f]{32}$/.test(String(name)));
  // nginx looks every 10 s.
  await eventually(() => assert(files().length <= 4), { interval: 250 });
});

test('TLS 1.1 is refused', async (t) => {
  const { cache } = await start(t);
  const curl = (...flags: string[]) =>
    execFileSync(
      'curl',
      ['-sS', '--cacert', cache.authority.file, ...flags, `https://127.0.0.1:${cache.port}/health-check`],
      { stdio: 'pipe' },
    );
  t.is(curl().toString(), 'ok\n');
  t.throws(() => curl('--tlsv1.0', '--tls-max', '1.1'));
});

/** A cache of one upstream with one image `library/app:1`. */
async function start(
  t: ExecutionContext,
  mirror: Partial<CacheMirror> = {},
  changes: { sliceSizeKiB?: number } = {},
) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const digest = upstream.addManifest('library/app', '1', { schemaVersion: 2 });
  const cache = await startCache(t, [mirrorOf(upstream, mirror)], changes);
  return { cache, upstream, digest };
}

/** nginx counts whole seconds: a tag kept for 1 s may be served for almost 2. */
function expired(): Promise<void> {
  return delay(2_050);
}

function methods(upstream: ScriptableUpstream): string[] {
  return upstream.seen.map(({ method }) => method);
}

function all(paths: readonly string[], ask: (path: string) => Promise<Received>): Promise<Received[]> {
  return Promise.all(paths.map(ask));
}
