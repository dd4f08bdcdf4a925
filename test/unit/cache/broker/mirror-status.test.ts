import test from 'ava';
import { MirrorStatus } from '../../../../src/cache/broker/mirror-status.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { UpstreamError, UpstreamStatusError } from '../../../../src/registry/upstream-error.ts';

const minute = 60_000;

function setUp() {
  const clock = { now: Date.parse('2026-01-01T00:00:00Z') };
  const lines: string[] = [];
  const log = createLogger({ destination: { write: (line) => void lines.push(line) } });
  const status = new MirrorStatus(log, () => clock.now);
  return {
    clock,
    lines,
    status,
    report: () =>
      status.report('hub', { present: () => false, expire: () => undefined, fault: () => undefined }),
  };
}

test('a reason keeps the moment it began however often it is seen again, and changes alone are logged', (t) => {
  const { clock, lines, status, report } = setUp();
  t.is(report().upstream.reason, 'Unknown');
  t.is(report().upstream.asked, undefined);
  status.note(new UpstreamError('dns', 'hub.test: ENOTFOUND'));
  const { since } = report().upstream;
  clock.now += minute;
  status.note(new UpstreamError('dns', 'hub.test: EAI_AGAIN'));
  t.like(report().upstream, { reason: 'DNS', since, message: 'hub.test: EAI_AGAIN' });
  t.is(report().upstream.asked, '2026-01-01T00:01:00.000Z');
  t.is(lines.length, 1);
});

test('one that was not asked for long keeps its last reason', (t) => {
  const { clock, status, report } = setUp();
  status.note(new UpstreamError('tls', 'hub.test: CERT_HAS_EXPIRED'));
  clock.now += 24 * 60 * minute;
  t.like(report().upstream, { reason: 'TLS', since: '2026-01-01T00:00:00.000Z' });
});

test('neither a blob nor a HEAD nor a list ends a rate limit before its time, a manifest does', (t) => {
  const { clock, status, report } = setUp();
  const limited = new UpstreamStatusError(429, 'hub.test: answered 429', { retryAfterSeconds: 30 });
  status.note(limited, 'manifest');
  t.like(report().upstream, { reason: 'RateLimited', until: '2026-01-01T00:00:30.000Z' });
  for (const object of ['blob', 'head', 'list'] as const) {
    status.note(undefined, object);
    t.is(report().upstream.reason, 'RateLimited', object);
  }
  status.note(undefined, 'manifest');
  t.like(report().upstream, { reason: 'Ok' });
  t.is(report().upstream.until, undefined);
  status.note(new UpstreamStatusError(429, 'hub.test: answered 429'), 'manifest');
  clock.now += minute;
  status.note(undefined, 'blob');
  t.is(report().upstream.reason, 'Ok');
});

test('tags count as stale from a failed check to the next good one, and no longer than they are asked for', (t) => {
  const { clock, status, report } = setUp();
  const tags = () => report().stale?.tags;
  status.staleTags.note('a:1');
  status.staleTags.note('b:1');
  status.staleTags.note('a:1');
  t.is(tags(), 2);
  status.staleTags.clear('b:1');
  t.is(tags(), 1);
  clock.now += 4 * minute;
  status.staleTags.note('a:1');
  clock.now += 4 * minute;
  t.is(tags(), 1);
  clock.now += 2 * minute;
  t.is(tags(), 0);
});

test('upstream bytes count for an hour', (t) => {
  const { clock, status, report } = setUp();
  const bytes = () => report().hour?.upstreamBytes;
  status.counters.bytes += 100;
  t.is(bytes(), 100);
  clock.now += 30 * minute;
  status.counters.bytes += 11;
  t.is(bytes(), 111);
  clock.now += 30 * minute;
  t.is(bytes(), 11);
  clock.now += 300 * minute;
  t.is(bytes(), 0);
  t.is(report().counters?.bytes, 111);
});
