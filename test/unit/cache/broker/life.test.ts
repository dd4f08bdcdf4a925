import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, createServer as createNetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { runBroker } from '../../../../src/cache/broker/broker.ts';
import { closeServing, createServing, serveOnSocket } from '../../../../src/cache/broker/socket.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { ask, brokerConfig, mirrorOf, sliceBytes, startBroker } from '../../../support/broker.ts';
import { makeAuthority, makeLeaf } from '../../../support/certificates.ts';
import { eventually } from '../../../support/eventually.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
const tag = '/v2/a/b/manifests/v1';

async function setUp(t: ExecutionContext) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  upstream.addManifest('a/b', 'v1', { schemaVersion: 2, mediaType: ociManifest, layers: [] });
  const broker = await startBroker(t, [mirrorOf(`http://${upstream.host}`)]);
  const report = async () => JSON.parse((await broker.get('/-/status')).body.toString()).mirrors[0];
  return { upstream, broker, report };
}

function tempDir(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'life-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('health is answered without an upstream', async (t) => {
  const { broker, upstream } = await setUp(t);
  t.is((await broker.get('/-/health')).status, 200);
  t.is(upstream.seen.length, 0);
});

test('the status says how the upstream is, since when, and what was asked of it', async (t) => {
  const { broker, upstream, report } = await setUp(t);
  t.is((await report()).upstream.reason, 'Unknown');
  await broker.get(`/m${tag}`);
  const well = await report();
  t.is(well.upstream.reason, 'Ok');
  t.is(well.counters.requests, 1);
  t.true(well.counters.bytes > 0);
  await broker.get('/m/v2/a/b/manifests/none');
  const after = (await report()).upstream;
  t.deepEqual({ ...after, asked: well.upstream.asked }, well.upstream, 'what does not exist is no fault');
  t.true(after.asked >= well.upstream.asked);
  for (const [status, reason] of [
    [500, 'ServerError'],
    [429, 'RateLimited'],
  ] as const) {
    upstream.faults = { status, retryAfter: '30' };
    await broker.get(`/m/v2/a/b/manifests/status-${status}`);
    const { upstream: state } = await report();
    t.is(state.reason, reason);
    t.true(Date.parse(state.until) > Date.now());
  }
  await upstream.close();
  await broker.get('/m/v2/c/d/manifests/closed');
  t.is((await report()).upstream.reason, 'Refused');
});

test('a changed configuration is followed; an unchanged mirror keeps its counters', async (t) => {
  const { broker, upstream, report } = await setUp(t);
  await broker.get(`/m${tag}`);
  const mirror = mirrorOf(`http://${upstream.host}`);
  const { configuration } = await report();
  broker.configure(brokerConfig(broker.dir, [mirror, { ...mirror, name: 'n' }]));
  await eventually(async () => assert.equal((await broker.get(`/n${tag}`)).status, 200));
  t.is((await report()).counters.requests, 1);
  t.regex(configuration ?? '', /^[0-9a-f]{16}$/);
  t.not((await report()).configuration, configuration);
  broker.configure(brokerConfig(broker.dir, [mirror]));
  await eventually(async () => assert.equal((await broker.get(`/n${tag}`)).status, 404));
});

test('a bad configuration leaves the old one in force and is complained of once', async (t) => {
  const { broker, report } = await setUp(t);
  const { configuration } = await report();
  writeFileSync(join(broker.dir, 'broker.json'), '{"sockets": 1, "mirrors": [{}]}');
  const complaints = () => broker.log.filter((line) => line.includes('Bad configuration'));
  await eventually(() => assert.equal(complaints().length, 1));
  t.regex(complaints()[0] ?? '', /sockets: .*mirrors\.0\.name: /);
  t.is((await report()).configuration, configuration);
  t.is((await broker.get(`/m${tag}`)).status, 200);
  rmSync(join(broker.dir, 'broker.json'));
  t.is((await broker.get(`/m${tag}`)).status, 200);
  t.is(complaints().length, 1);
});

test('a bad configuration at the start is an error that names every fault', async (t) => {
  const configFile = join(tempDir(t), 'broker.json');
  writeFileSync(configFile, '{"sliceBytes": 0}');
  const { signal } = new AbortController();
  const options = { configFile, log: createLogger({ level: 'silent' }) };
  await t.throwsAsync(runBroker(options, signal), { message: /sockets: .*sliceBytes: .*mirrors: / });
});

test('a CA bundle that comes later is taken without a restart', async (t) => {
  const dir = tempDir(t);
  const authority = await makeAuthority(join(dir, 'authority'));
  const leaf = await makeLeaf(authority, ['127.0.0.1']);
  const upstream = await startScriptableUpstream({ tls: { cert: leaf.certificatePem, key: leaf.keyPem } });
  t.teardown(() => upstream.close());
  upstream.addManifest('a/b', 'v1', { schemaVersion: 2, mediaType: ociManifest, layers: [] });
  const caFile = join(dir, 'given.crt');
  const broker = await startBroker(t, [mirrorOf(`https://${upstream.host}`, { caFiles: [caFile] })]);
  t.is((await broker.get(`/m${tag}`)).status, 502);
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  writeFileSync(caFile, broken + authority.certificatePem);
  await eventually(async () => assert.equal((await broker.get(`/m${tag}`)).status, 200));
  // The kubelet empties the mount of a ConfigMap that is gone.
  rmSync(caFile);
  await eventually(() => assert.match(broker.log.join(''), /CA bundle is gone/));
  t.is((await broker.get(`/m${tag}`)).status, 200);
});

test('a socket that a dead broker left behind is replaced', async (t) => {
  const path = join(tempDir(t), 'broker.sock');
  const leaveBehind = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', leaveBehind]);
  t.true(existsSync(path));
  const server = await serveOnSocket(path, (_, response) => response.end('new'));
  t.teardown(() => closeServing(server, 0));
  t.is((await ask(path, '/')).body.toString(), 'new');
});

test('connections are closed that are handed over after the end, and those whose request is never answered', async (t) => {
  const path = join(tempDir(t), 'supervisor.sock');
  const supervisor = createNetServer();
  t.teardown(() => supervisor.close());
  await new Promise<void>((resolve) => supervisor.listen(path, resolve));
  const serving = createServing(() => {});
  const handOver = async () => {
    const nginx = connect(path);
    const [socket] = (await once(supervisor, 'connection')) as [Socket];
    serving.server.emit('connection', socket);
    return nginx.resume();
  };
  const early = await handOver();
  early.write('GET / HTTP/1.1\r\nHost: broker\r\n\r\n');
  const closed = once(early, 'close');
  await once(serving.server, 'request');
  await closeServing(serving, 0);
  await closed;
  const late = await handOver();
  await once(late, 'close');
  t.pass();
});

test('a socket on which another broker answers is left alone', async (t) => {
  const path = join(tempDir(t), 'broker.sock');
  const server = await serveOnSocket(path, (_, response) => response.end('first'));
  t.teardown(() => closeServing(server, 0));
  await t.throwsAsync(
    serveOnSocket(path, () => {}),
    { message: /another broker answers/ },
  );
  t.is((await ask(path, '/')).body.toString(), 'first');
});

test('a file where the socket should be is not removed', async (t) => {
  const path = join(tempDir(t), 'broker.sock');
  writeFileSync(path, 'precious');
  await t.throwsAsync(
    serveOnSocket(path, () => {}),
    { message: /expected a socket/ },
  );
  t.is(readFileSync(path, 'utf8'), 'precious');
});

test('when it stops, a running answer ends whole and the socket is gone', async (t) => {
  const { broker, upstream } = await setUp(t);
  const blob = randomBytes(200_000);
  const digest = upstream.addBlob(blob);
  upstream.faults = { drip: 100_000 };
  const running = broker.get(`/m/v2/a/b/blobs/${digest}`);
  await eventually(() => assert.ok(upstream.counters.bytes > 0), { interval: 1 });
  const stopped = broker.stop();
  t.true((await running).body.equals(blob));
  await stopped;
  t.false(existsSync(broker.socket));
});

test('when it stops, an answer that takes too long is broken', async (t) => {
  const { broker, upstream } = await setUp(t);
  const digest = upstream.addBlob(randomBytes(200_000));
  upstream.faults = { drip: 10 };
  const path = `/m/v2/a/b/blobs/${digest}`;
  const range = `bytes=0-${sliceBytes - 1}`;
  const failed = Promise.all([t.throwsAsync(broker.get(path)), t.throwsAsync(broker.get(path, { range }))]);
  await eventually(() => assert.ok(upstream.counters.bytes > 100), { interval: 1 });
  await broker.stop();
  await failed;
});

test('Docker Hub’s own images are asked for under library/, a path prefix goes before every repository', async (t) => {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const hub = mirrorOf('docker.io');
  const atLocal = { scheme: 'http', host: upstream.host } as const;
  const mirrors = [
    { ...hub, name: 'hub', upstream: { ...hub.upstream, ...atLocal } },
    mirrorOf(`http://${upstream.host}/proxy/hub`, { name: 'prefixed' }),
  ];
  const broker = await startBroker(t, mirrors);
  await broker.get('/hub/v2/alpine/manifests/3');
  await broker.get('/hub/v2/grafana/loki/manifests/3');
  await broker.get('/prefixed/v2/library/alpine/manifests/3');
  t.deepEqual(
    upstream.seen.map(({ url }) => url),
    [
      '/v2/library/alpine/manifests/3',
      '/v2/grafana/loki/manifests/3',
      '/v2/proxy/hub/library/alpine/manifests/3',
    ],
  );
});

test('headers that are no HTTP and answers that never end their headers are no answer', async (t) => {
  const odd = createServer();
  odd.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello');
  });
  odd.listen(0, '127.0.0.1');
  await nextTurn();
  t.teardown(() => odd.close());
  t.teardown(() => odd.closeAllConnections());
  const { port } = odd.address() as { port: number };
  const broker = await startBroker(t, [mirrorOf(`http://127.0.0.1:${port}`)]);
  t.is((await broker.get(`/m${tag}`)).status, 502);
});
