import test, { type ExecutionContext } from 'ava';
import { noCredentials } from '../../../src/registry/credentials.ts';
import { createTransport } from '../../../src/registry/transport.ts';
import { UpstreamClient } from '../../../src/registry/upstream-client.ts';
import { zeroCounters } from '../../../src/registry/upstream-counters.ts';
import { startScriptableUpstream } from '../../support/scriptable-upstream.ts';

const manifest = { schemaVersion: 2, layers: [] };

async function setUp(t: ExecutionContext) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  upstream.addManifest('a/b', 'v1', manifest);
  const origin = new URL(`http://${upstream.host}`);
  const transport = createTransport(origin, {
    authorities: [],
    network: { timeouts: { connect: 1_000, headers: 2_000, bodyIdle: 2_000 } },
  });
  t.teardown(() => transport.destroy());
  const clock = { now: Date.now() };
  const client = new UpstreamClient({
    origin,
    transport: () => transport,
    credentials: () => noCredentials,
    counters: zeroCounters(),
    now: () => clock.now,
  });
  const get = async (signal = new AbortController().signal) => {
    const answer = await client.request({
      method: 'GET',
      repository: 'a/b',
      path: 'manifests/v1',
      headers: {},
      signal,
    });
    await answer.body.dump();
    return answer.status;
  };
  return { upstream, client, clock, get };
}

test('a token that the registry takes no longer is replaced within the same request', async (t) => {
  const { upstream, clock, get } = await setUp(t);
  upstream.auth = { kind: 'bearer' };
  t.is(await get(), 200);
  upstream.revokeTokens();
  clock.now += 6_000;
  t.is(await get(), 200);
  t.is(upstream.counters.tokens, 2);
});

test('a request over an idle connection that the upstream closes meanwhile is sent again', async (t) => {
  const { upstream, client, get } = await setUp(t);
  t.is(await get(), 200);
  upstream.dropConnections(1);
  t.is(await get(), 200);
  t.true(client.counters.retries <= 1);
});

test('a connection that breaks before every answer is given up after three requests', async (t) => {
  const { upstream, client, get } = await setUp(t);
  upstream.dropConnections(10);
  await t.throwsAsync(get(), { code: 'broken' });
  t.is(client.counters.requests, 3);
});

test('an answer whose unwanted body never ends delays nobody for long', async (t) => {
  const { upstream, get } = await setUp(t);
  upstream.auth = { kind: 'bearer' };
  upstream.endlessChallenge = true;
  const start = performance.now();
  t.is(await get(), 200);
  // Half a second for each of two.
  t.true(performance.now() - start < 5_000);
});

test('one who waits no longer gets the reason at once', async (t) => {
  const { upstream, get } = await setUp(t);
  upstream.faults = { delayMs: 5_000 };
  const start = performance.now();
  await t.throwsAsync(get(AbortSignal.timeout(100)), { code: 'timeout' });
  t.true(performance.now() - start < 4_000);
});

for (const [stated, asked] of [
  [undefined, 'repository:a/b:pull'],
  ['', 'repository:a/b:pull'],
  ['repository:a/b:pull', 'repository:a/b:pull'],
  ['repository:a/b:pull,push repository:host:5000/c:*', 'repository:a/b:pull repository:host:5000/c:pull'],
  ['aws', 'aws'],
] as const) {
  test(`a challenge of scope ${stated} is answered with a token for ${asked}`, async (t) => {
    const { upstream, get } = await setUp(t);
    upstream.auth = { kind: 'bearer', ...(stated === undefined ? {} : { scope: stated }) };
    t.is(await get(), 200);
    const url = new URL(upstream.seen.find(({ origin }) => origin === 'token')?.url ?? '', 'http://token');
    t.deepEqual(url.searchParams.getAll('scope'), asked.split(' '));
  });
}

test('a realm that may not be asked is not asked, and its 401 is the answer', async (t) => {
  const { upstream, get } = await setUp(t);
  for (const realm of ['ftp://x/token', '/token', 'https://user:secret@127.0.0.1/token']) {
    upstream.auth = { kind: 'bearer', realm };
    t.is(await get(), 401);
  }
  t.is(upstream.counters.tokens, 0);
});

test('a realm on an address the upstream may not lead to is refused', async (t) => {
  const { upstream, get } = await setUp(t);
  upstream.auth = { kind: 'bearer', realm: 'https://169.254.169.254/token' };
  await t.throwsAsync(get(), { code: 'redirect', message: /metadata/ });
});
