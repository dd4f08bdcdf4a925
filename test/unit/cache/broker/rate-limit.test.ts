import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { mirrorOf, startBroker } from '../../../support/broker.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

async function setUp(t: ExecutionContext) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const broker = await startBroker(t, [mirrorOf(`http://${upstream.host}`)]);
  const manifest = (repository: string, tag: string, method = 'GET') =>
    broker.get(`/m/v2/${repository}/manifests/${tag}`, {}, method);
  return { upstream, broker, manifest };
}

test('a herd for many manifests of a repository that is limited costs one request', async (t) => {
  const { upstream, manifest } = await setUp(t);
  upstream.faults = { status: 429, retryAfter: '30' };
  t.is((await manifest('a/b', 'first')).status, 503);
  const herd = await Promise.all(Array.from({ length: 100 }, (_, at) => manifest('a/b', `v${at}`)));
  t.true(herd.every(({ status, headers }) => status === 503 && Number(headers['retry-after']) <= 30));
  t.is(upstream.counters.requests, 1);
});

test('a herd for manifests of a hundred repositories under a limit costs few requests', async (t) => {
  const { upstream, manifest } = await setUp(t);
  upstream.faults = { status: 429, retryAfter: '30' };
  await manifest('a/b', 'first');
  const herd = await Promise.all(Array.from({ length: 100 }, (_, at) => manifest(`a/r${at}`, 'v1')));
  t.true(herd.every(({ status }) => status === 503));
  t.true(upstream.counters.requests <= 12, `${upstream.counters.requests} requests`);
});

test('a repository that is not limited is served while others are', async (t) => {
  const { upstream, manifest } = await setUp(t);
  upstream.addManifest('free/x', 'v1', { schemaVersion: 2, layers: [] });
  upstream.faults = { status: 429, retryAfter: '30' };
  await manifest('a/b', 'first');
  upstream.faults = {};
  t.is((await manifest('free/x', 'v1')).status, 200);
  t.is((await manifest('a/b', 'second')).status, 503);
});

test('HEAD and blobs of a repository go on while its GET is limited', async (t) => {
  const { upstream, broker, manifest } = await setUp(t);
  upstream.addManifest('a/b', 'v1', { schemaVersion: 2, layers: [] });
  const blob = randomBytes(1_000);
  const digest = upstream.addBlob(blob);
  upstream.faults = { status: 429, retryAfter: '30' };
  t.is((await manifest('a/b', 'v0')).status, 503);
  upstream.faults = {};
  t.is((await manifest('a/b', 'v1', 'HEAD')).status, 200);
  t.true((await broker.get(`/m/v2/a/b/blobs/${digest}`)).body.equals(blob));
});

test('a blob waits for a limit that is over in a second instead of breaking a download', async (t) => {
  const { upstream, broker } = await setUp(t);
  const blob = randomBytes(1_000);
  const digest = upstream.addBlob(blob);
  upstream.faults = { status: 429, retryAfter: '1' };
  const waiting = broker.get(`/m/v2/a/b/blobs/${digest}`);
  while (upstream.counters.requests === 0) await new Promise((resolve) => setImmediate(resolve));
  upstream.faults = {};
  t.true((await waiting).body.equals(blob));
});
