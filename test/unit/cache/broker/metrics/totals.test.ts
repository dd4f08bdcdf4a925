import test from 'ava';
import { mergeReports, ProcessTotals } from '../../../../../src/cache/broker/metrics/totals.ts';
import { type CacheReportInput, completeReport } from '../../../../../src/cache/cache-report.ts';

const [first, second] = ['2026-01-01T00:00:00.000Z', '2026-01-01T01:00:00.000Z'];

function report(changes: Partial<CacheReportInput['mirrors'][number]>) {
  const upstream = { reason: 'Ok', since: first };
  return completeReport({ version: 1, mirrors: [{ name: 'hub', upstream, ...changes }] });
}

function counted(requests: number, started: string, byStatus: Record<string, number> = {}) {
  return report({ counters: { started, requests, byStatus }, peers: { bytes: requests * 10 } });
}

test('the counts of a process go on where they were when it restarts', (t) => {
  const totals = new ProcessTotals();
  const requests = () => totals.total?.mirrors[0]?.counters.requests;
  totals.take(counted(5, first, { '2xx': 5 }));
  totals.take(counted(7, first, { '2xx': 6, '4xx': 1 }));
  t.is(requests(), 7);
  totals.take(counted(0, second));
  t.is(requests(), 7);
  totals.take(counted(9, second, { '2xx': 8, error: 1 }));
  t.is(requests(), 16);
  t.deepEqual(totals.total?.mirrors[0]?.counters.byStatus, { '2xx': 14, '4xx': 1, error: 1 });
  t.is(totals.total?.mirrors[0]?.peers.bytes, 160);
  totals.take(counted(1, '2026-01-01T02:00:00.000Z'));
  t.is(requests(), 17);
});

test('of several processes counts are added, and the upstream is as the one saw it that asked last', (t) => {
  const limited = { reason: 'RateLimited', since: first, asked: second };
  const rateLimit = { limit: 100, remaining: 3 };
  const well = { reason: 'Ok', since: first, asked: first, rateLimit };
  const merged = mergeReports([
    report({ upstream: well, counters: { requests: 1, byStatus: { '2xx': 1 } }, stale: { tags: 1 } }),
    report({
      upstream: limited,
      credentials: 'present',
      counters: { requests: 2, byStatus: { '429': 2 } },
      stale: { tags: 2 },
      hour: { upstreamBytes: 5 },
    }),
    report({}),
  ]).mirrors[0];
  t.deepEqual(merged?.upstream, { ...limited, rateLimit });
  t.is(merged?.counters.requests, 3);
  t.deepEqual(merged?.counters.byStatus, { '2xx': 1, '429': 2 });
  t.is(merged?.stale.tags, 3);
  t.is(merged?.hour.upstreamBytes, 5);
  t.is(merged?.credentials, 'present');
});

test('a mirror that a process does not know yet is the others’', (t) => {
  const none = completeReport({ version: 1, mirrors: [] });
  t.is(mergeReports([counted(4, first), none]).mirrors[0]?.counters.requests, 4);
});
