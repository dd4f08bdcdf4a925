import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { ports } from '../../../../src/cache/ports.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { CacheReports } from '../../../../src/operator/cache-reports/cache-reports.ts';
import { type FetchReport, fetchReport } from '../../../../src/operator/cache-reports/fetch-report.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import { eventually } from '../../../support/eventually.ts';
import { reportOf } from './replica-reports.ts';

const silent = createLogger({ level: 'silent' });

/** Polls that go on as soon as they are done, of `replicas` replicas of mirror `hub`. */
function scene(t: ExecutionContext, answer: FetchReport, replicas = 1) {
  const store = new Store();
  const clock = { now: Date.parse('2026-01-01T00:00:00Z') };
  const [changed, corrupt]: [string[], number[]] = [[], []];
  let rounds = 0;
  let version = 0;
  const reports = new CacheReports({
    endpointSlices: new LiveView(store),
    changed: (mirror) => changed.push(mirror),
    corrupt: (_mirror, { report }) => corrupt.push(report.scrub.corrupt),
    logger: silent,
    fetchReport: answer,
    now: () => new Date(clock.now),
    random: () => {
      rounds += 1;
      return 0;
    },
    pauseMs: { least: 1, most: 1 },
  });
  const serve = (count: number) => {
    const endpoints = Array.from({ length: count }, (_, index) => {
      return { addresses: [`10.0.0.${index}`], targetRef: { name: `hub-${index}` } };
    });
    const metadata = {
      name: 's',
      namespace: 'd',
      labels: { mirror: 'hub' },
      resourceVersion: `${++version}`,
    };
    store.put({ apiVersion: 'v1', kind: 'EndpointSlice', metadata, endpoints } as unknown as KubeObject);
  };
  serve(replicas);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const ended = reports.run(stop.signal);
  const nextRound = async () => {
    const before = rounds;
    await eventually(() => assert.ok(rounds > before + 1));
  };
  const end = async () => {
    stop.abort();
    await ended;
  };
  return { reports, changed, corrupt, clock, serve, nextRound, end };
}

test('Nothing is known before the first round; then a mirror is told of once for each change', async (t) => {
  const said = { lastPull: '2026-01-01T00:00:00Z' };
  const one = scene(t, async () => reportOf(said));
  t.is(one.reports.of('hub'), undefined);
  await one.nextRound();
  await one.nextRound();
  t.deepEqual(one.changed, ['hub']);
  t.is(one.reports.of('hub')?.length, 1);
  t.deepEqual(one.reports.of('other'), [], 'it has no replica that serves');
  said.lastPull = '2026-01-01T00:05:00Z';
  await one.nextRound();
  t.deepEqual(one.changed, ['hub', 'hub']);
  await one.end();
});

test('A replica that does not answer keeps its last word for two minutes; one that is gone does not', async (t) => {
  let fails = false;
  const one = scene(t, async () => (fails ? Promise.reject(new Error('refused')) : reportOf()), 2);
  await one.nextRound();
  fails = true;
  await one.nextRound();
  t.is(one.reports.of('hub')?.length, 2);
  one.serve(1);
  await one.nextRound();
  t.is(one.reports.of('hub')?.length, 1);
  one.clock.now += 120_001;
  await one.nextRound();
  t.deepEqual(one.reports.of('hub'), []);
  t.deepEqual(one.changed, ['hub', 'hub', 'hub'], 'of two, of one and of none');
  await one.end();
});

test('A mirror whose replicas serve and do not answer is told of once: nobody waits for the first round any more', async (t) => {
  const one = scene(t, async () => Promise.reject(new Error('refused')), 1);
  await one.nextRound();
  await one.nextRound();
  t.deepEqual(one.changed, ['hub']);
  one.serve(0);
  await one.nextRound();
  await one.nextRound();
  t.deepEqual(one.reports.of('hub'), []);
  await one.end();
});

test('So many are asked at a time, and no more', async (t) => {
  let [running, most] = [0, 0];
  const one = scene(
    t,
    async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return reportOf();
    },
    200,
  );
  await one.nextRound();
  t.is(most, 32);
  await one.end();
});

test('Each growth of what a scrub found is told once; what was found long before is not', async (t) => {
  const scrub = { corrupt: 2, checked: 9, lastCorrupt: '2025-12-31T00:00:00Z' };
  const one = scene(t, async () => reportOf({ scrub: { ...scrub } }));
  await one.nextRound();
  t.deepEqual(one.corrupt, []);
  scrub.corrupt = 3;
  await one.nextRound();
  await one.nextRound();
  t.deepEqual(one.corrupt, [3]);
  scrub.corrupt = 0;
  await one.nextRound();
  scrub.corrupt = 1;
  await one.nextRound();
  t.deepEqual(one.corrupt, [3, 1], 'the broker was started again');
  await one.end();
});

test('A pod is asked on its port for metrics; what is no report, too long or redirected is refused', async (t) => {
  const answers: Record<string, [number, string]> = {
    '127.0.93.1': [200, JSON.stringify(reportOf())],
    '127.0.93.2': [200, 'x'.repeat(300_000)],
    '127.0.93.3': [302, ''],
    '127.0.93.4': [500, 'broken'],
    '127.0.93.5': [200, '{}'],
  };
  const server = createServer(({ url, socket }, response) => {
    const [status, body] = answers[socket.localAddress ?? ''] ?? [404, ''];
    response
      .writeHead(url === '/status' ? status : 404, { location: 'http://127.0.93.1:9090/status' })
      .end(body);
  });
  const addresses = Object.keys(answers);
  const servers = addresses.map((address) => {
    const one = createServer(server.listeners('request')[0] as never);
    t.teardown(() => one.closeAllConnections());
    t.teardown(() => one.close());
    return new Promise((resolve) => one.listen(ports.metrics, address, () => resolve(undefined)));
  });
  await Promise.all(servers);
  const { signal } = new AbortController();
  t.is((await fetchReport('127.0.93.1', signal)).mirrors[0]?.name, 'hub');
  for (const address of addresses.slice(1))
    await t.throwsAsync(fetchReport(address, signal), undefined, address);
});
