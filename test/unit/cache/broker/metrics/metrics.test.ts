import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runMetrics } from '../../../../../src/cache/broker/metrics/metrics.ts';
import type { StoreReport } from '../../../../../src/cache/broker/store/store-report.ts';
import { parseCacheReport } from '../../../../../src/cache/cache-report.ts';
import { createLogger } from '../../../../../src/observe/log.ts';
import { freePort } from '../../../../kubernetes/free-ports.ts';
import { brokerConfig, mirrorOf } from '../../../../support/broker.ts';
import { makeAuthority, makeLeaf } from '../../../../support/certificates.ts';
import { eventually } from '../../../../support/eventually.ts';

const moment = '2026-01-01T00:00:00.000Z';

/** The figures of a cache with one mirror `m`, whose upstream was asked `requests` times by this process. */
async function setUp(t: ExecutionContext, own: { requests: number } = { requests: 1 }) {
  const dir = mkdtempSync(join(tmpdir(), 'metrics-'));
  const port = await freePort();
  const authority = await makeAuthority(join(dir, 'tls'));
  const leaf = await makeLeaf(authority, ['127.0.0.1']);
  const [socket, other] = [join(dir, 'broker.sock'), join(dir, 'broker-1.sock')];
  const config = {
    ...brokerConfig(dir, [mirrorOf('https://hub.test')]),
    sockets: [socket, other],
    metricsListen: { address: '127.0.0.1', port },
    certificateFiles: [leaf.certFile, join(dir, 'missing.crt')],
  };
  const report = (requests: number) => ({
    version: 1,
    mirrors: [
      {
        name: 'm',
        upstream: { reason: 'Timeout', since: moment, asked: moment },
        counters: { started: moment, requests, byStatus: { error: requests }, bytes: requests * 100 },
        stale: { tags: 2 },
      },
    ],
  });
  const stop = new AbortController();
  const done = runMetrics(
    {
      config: () => config,
      own: () => report(own.requests),
      store: () => store,
      log: createLogger({ level: 'silent' }),
    },
    stop.signal,
  );
  t.teardown(async () => {
    stop.abort();
    await done;
    rmSync(dir, { recursive: true, force: true });
  });
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
  await eventually(async () => assert.equal((await get('/healthz')).status, 200));
  const page = async (path: string) => (await get(path)).text();
  /** The other process, which says it asked `requests` times, until the returned function is called. */
  const startOther = async (requests: number) => {
    const server = createServer((_, response) => response.end(JSON.stringify(report(requests))));
    server.listen(other);
    await once(server, 'listening');
    const close = async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    };
    t.teardown(() => server.close());
    return close;
  };
  return { config, get, page, startOther, leaf };
}

const store: StoreReport = {
  volume: {
    sizeBytes: 1000,
    freeBytes: 10,
    floorBytes: 50,
    writable: false,
    reason: 'Full',
    since: moment,
    message: 'no space is left',
  },
  mirrors: [
    {
      name: 'm',
      bytes: 700,
      files: 7,
      limitBytes: 800,
      evicted: { files: 2, bytes: 20, youngestSeconds: 3600 },
      purges: { requests: 3, files: 5, bytes: 50 },
      scrub: { checked: 10, bytes: 100, corrupt: 1, lastCorrupt: { digest: 'sha256:0', at: moment } },
    },
  ],
};

/** The samples of a page by name and labels. */
function samples(page: string): Record<string, number> {
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

test('what nginx wrote, the processes and the disk tell is in the metrics and in the report', async (t) => {
  const { config, page, startOther, leaf } = await setUp(t);
  await startOther(4);
  const lines = [
    '1767225600.000\tm\tplain\tblob\tGET\t200\t1000\t0.200\tMISS\t0.100',
    '1767225601.000\tm\tfallback\tblob\tGET\t206\t500\t0.001\tHIT\t',
    '1767225602.000\tm\tpeer\tblob\tGET\t200\t9000\t0.001\tHIT\t',
    '1767225603.000\tm\tplain\ttag\tGET\t503\t60\t0.001\tMISS\t0.001',
    '1767225604.000\tinvented\tplain\tother\tGET\t404\t60\t0.001\t\t',
    'no line of ours',
  ];
  appendFileSync(config.requestLog, `${lines.join('\n')}\n`);
  const found = await eventually(async () => {
    const found = samples(await page('/metrics'));
    assert.equal(found['registry_mirror_request_log_unreadable_lines_total'], 1);
    return found;
  });
  const expected = {
    'registry_mirror_requests_total{mirror="m",address="plain",object="blob",cache="miss"}': 1,
    'registry_mirror_response_bytes_total{mirror="m",address="peer",object="blob",cache="hit"}': 9000,
    'registry_mirror_response_bytes_total{mirror="m",address="fallback",object="blob",cache="hit"}': 500,
    // Told before there is any.
    'registry_mirror_response_bytes_total{mirror="m",address="local",object="blob",cache="miss"}': 0,
    'registry_mirror_responses_total{mirror="m",address="plain",status="503"}': 1,
    'registry_mirror_responses_total{mirror="",address="plain",status="404"}': 1,
    'registry_mirror_request_duration_seconds_count{mirror="m",cache="hit"}': 1,
    'registry_mirror_first_byte_seconds_sum{mirror="m",cache="miss"}': 0.101,
    'registry_mirror_upstream_requests_total{mirror="m",status="error"}': 5,
    'registry_mirror_upstream_bytes_total{mirror="m"}': 500,
    'registry_mirror_upstream_state{mirror="m",reason="Timeout"}': 1,
    'registry_mirror_upstream_state{mirror="m",reason="Ok"}': 0,
    'registry_mirror_upstream_asked_timestamp_seconds{mirror="m"}': Date.parse(moment) / 1000,
    'registry_mirror_cache_bytes{mirror="m"}': 700,
    'registry_mirror_cache_writable{mirror="m"}': 0,
    'registry_mirror_cache_youngest_evicted_age_seconds{mirror="m"}': 3600,
    'registry_mirror_purges_total{mirror="m"}': 3,
    'registry_mirror_scrub_objects_total{mirror="m",result="ok"}': 9,
    'registry_mirror_scrub_objects_total{mirror="m",result="corrupt"}': 1,
    'registry_mirror_broker_processes{state="answering"}': 2,
  };
  for (const [name, value] of Object.entries(expected)) t.is(found[name], value, name);
  t.true((found['process_resident_memory_bytes'] ?? 0) > 0);
  const days = (found['registry_mirror_certificate_expiry_timestamp_seconds{mirror="m"}'] ?? 0) * 1000;
  t.true(days > Date.now() && days < Date.now() + 11 * 86_400_000, leaf.certFile);
  const mirror = await eventually(async () => {
    const [mirror] = parseCacheReport(await page('/status')).mirrors;
    assert.equal(mirror?.requests.total, 3);
    return mirror;
  });
  t.deepEqual(mirror?.requests, { total: 3, byStatus: { miss: 2, hit: 1 }, bytes: 1560 });
  t.deepEqual(mirror?.hour, { bytes: 1560, upstreamBytes: 0 });
  t.is(mirror?.lastPull, '2026-01-01T00:00:01.000Z');
  t.like(mirror?.cache, { writable: false, reason: 'Full', message: 'no space is left', objects: 7 });
  t.is(mirror?.scrub.lastCorrupt, moment);
});

test('a process that does not answer keeps its share in the sums', async (t) => {
  const { page, startOther } = await setUp(t);
  const upstream = async () => {
    const found = samples(await page('/metrics'));
    const { answering, requests } = {
      answering: found['registry_mirror_broker_processes{state="answering"}'],
      requests: found['registry_mirror_upstream_requests_total{mirror="m",status="error"}'],
    };
    return [answering, requests];
  };
  const close = await startOther(4);
  await eventually(async () => assert.deepEqual(await upstream(), [2, 5]));
  await close();
  await eventually(async () => assert.equal((await upstream())[0], 1));
  t.deepEqual(await upstream(), [1, 5]);
});

test('a process that is wanted no more keeps its share in the sums, and nothing else', async (t) => {
  const { config, page, startOther } = await setUp(t);
  const told = async () => {
    const found = samples(await page('/metrics'));
    return [
      found['registry_mirror_broker_processes{state="wanted"}'],
      found['registry_mirror_upstream_bytes_total{mirror="m"}'],
      found['registry_mirror_stale_tags{mirror="m"}'],
    ];
  };
  await startOther(4);
  await eventually(async () => assert.deepEqual(await told(), [2, 500, 4]));
  config.sockets = config.sockets.slice(0, 1);
  await eventually(async () => assert.equal((await told())[0], 1));
  t.deepEqual(await told(), [1, 500, 2]);
});

test('only GET and HEAD of three paths are answered', async (t) => {
  const { get } = await setUp(t);
  for (const method of ['POST', 'PUT', 'DELETE']) t.is((await get('/metrics', { method })).status, 405);
  for (const path of ['/', '/-/status', '/metrics/x', '/status/../x']) t.is((await get(path)).status, 404);
  const head = await get('/metrics?x=1', { method: 'HEAD' });
  t.is(head.status, 200);
  t.is(await head.text(), '');
});
