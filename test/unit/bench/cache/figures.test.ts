import test from 'ava';
import { measurementOf, median, ratio, summaryOf } from '../../../../bench/cache/figures.ts';
import { measurement } from './measurements.ts';

test('the median is the middle value, of an even number the mean of the two', (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 2, 3]), 2.5);
  t.is(median([7]), 7);
  t.is(median([]), 0);
});

test('a measurement has the median and the worst first byte, and upstream bytes as a multiple of the object', (t) => {
  const transfer = { url: '', status: 200, exitCode: 0, bytes: 1024 * 1024, seconds: 1 };
  const transfers = [0.3, 0.1, 0.2].map((firstByteSeconds) => ({ ...transfer, firstByteSeconds }));
  const got = measurementOf(
    { round: 1, scenario: 'cold-24', contender: 'mirror' },
    {
      pulled: { seconds: 2, cpuSeconds: 0.5, transfers, failures: [] },
      upstream: { requests: 4, tokens: 1, redirects: 1, bytes: 3 * 1024 * 1024 },
      objectBytes: 2 * 1024 * 1024,
      cpu: { contender: 1, miss: 0.25, upstream: 0.5 },
    },
  );
  t.is(got.firstByteMedian, 0.2);
  t.is(got.firstByteWorst, 0.3);
  t.is(got.multiple, 1.5);
  t.is(got.mebibytes, 3);
  t.is(got.cpu.clients, 0.5);
});

test('a summary is the median of each figure on its own, and the sum of all failures', (t) => {
  const summary = summaryOf([
    measurement({ seconds: 1, firstByteWorst: 3, failures: ['status 500'] }),
    measurement({ seconds: 2, firstByteWorst: 1 }),
    measurement({ seconds: 9, firstByteWorst: 2, failures: ['status 500'] }),
  ]);
  t.is(summary.seconds, 2);
  t.is(summary.firstByteWorst, 2);
  t.is(summary.failures, 2);
  t.is(summary.missCpuPerMebibyte, 10);
});

test('who missed nothing has no processor time for a MiB missed', (t) => {
  const upstream = { requests: 0, tokens: 0, redirects: 0, bytes: 0 };
  t.is(summaryOf([measurement({ upstream })]).missCpuPerMebibyte, undefined);
});

test('a ratio is taken within each round, so that a slow round of both decides nothing', (t) => {
  const both = (round: number, own: number, other: number) => [
    measurement({ round, seconds: own }),
    measurement({ round, seconds: other, contender: 'other' }),
  ];
  const all = [...both(0, 1, 2), ...both(1, 10, 20), ...both(2, 3, 3)];
  const of = { scenario: 'cold-24', contender: 'mirror', to: 'other' };
  t.is(
    ratio(all, of, ({ seconds }) => seconds),
    0.5,
  );
  t.is(
    ratio(all, { ...of, to: 'nobody' }, ({ seconds }) => seconds),
    undefined,
  );
});
