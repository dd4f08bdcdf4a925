import test from 'ava';
import { parseCacheReport } from '../../../src/cache/cache-report.ts';

const at = '2026-01-02T03:04:05.000Z';
const least = { version: 1, mirrors: [{ name: 'hub', upstream: { reason: 'Ok', since: at } }] };

test('a report of an older broker has zeros and gaps where it knew nothing', (t) => {
  const [mirror] = parseCacheReport(JSON.stringify(least)).mirrors;
  t.deepEqual(mirror?.requests, { total: 0, byStatus: {}, bytes: 0 });
  t.deepEqual(mirror?.hour, { bytes: 0, upstreamBytes: 0 });
  t.deepEqual(mirror?.scrub, { checked: 0, corrupt: 0 });
  t.is(mirror?.counters.requests, 0);
  t.is(mirror?.credentials, 'none');
  t.is(mirror?.cache, undefined);
  t.is(mirror?.lastPull, undefined);
});

test('fields and reasons of a newer broker do no harm', (t) => {
  const newer = {
    ...least,
    invented: 1,
    mirrors: [{ ...least.mirrors[0], upstream: { reason: 'Invented', since: at, more: {} }, extra: [] }],
  };
  const [mirror] = parseCacheReport(JSON.stringify(newer)).mirrors;
  t.is(mirror?.upstream.reason, 'Invented');
});

test('what is no report is refused by name', (t) => {
  t.throws(() => parseCacheReport('<html>'), { message: /expected JSON/ });
  t.throws(() => parseCacheReport('{"mirrors":[]}'), { message: /version/ });
  t.throws(() => parseCacheReport('{"version":2,"mirrors":[]}'), { message: /version/ });
  t.throws(() => parseCacheReport('{"version":1,"mirrors":[{"name":"hub"}]}'), {
    message: /mirrors\.0\.upstream/,
  });
});
