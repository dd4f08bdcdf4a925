import test from 'ava';
import {
  isAsExpected,
  type Measurement,
  median,
  percentile,
  report,
  rowsOf,
} from '../../../../bench/admission/figures.ts';

const measured = (round: number, contender: Measurement['contender'], perSecond: number): Measurement => ({
  round,
  contender,
  connections: 16,
  perSecond,
  p50: 1,
  p99: 2,
  cpuMsPerRequest: 0.1,
});

test('a ratio is the median of each round’s own', (t) => {
  const rows = rowsOf([
    measured(1, 'bare', 100),
    measured(1, 'rewritten', 90),
    measured(2, 'bare', 1000),
    measured(2, 'rewritten', 700),
    measured(3, 'bare', 10),
    measured(3, 'rewritten', 8.5),
  ]);
  t.deepEqual(
    rows.map(({ contender, ratio, perSecond }) => [contender, ratio, perSecond]),
    [
      ['bare', 1, 100],
      ['rewritten', 0.85, 90],
    ],
  );
  t.true(rows.every(isAsExpected));
});

test('what falls short is marked', (t) => {
  const rows = rowsOf([measured(1, 'bare', 100), measured(1, 'unchanged', 79)]);
  t.regex(report(rows), /webhook, nothing to rewrite +16 +79 +0\.79 .*MISSED$/m);
});

test('percentiles are values that were measured', (t) => {
  t.is(percentile([1, 2, 3, 4], 50), 2);
  t.is(percentile([1, 2, 3, 4], 99), 4);
  t.is(median([9, 1, 5]), 5);
  t.is(percentile([], 50), Number.NaN);
});
