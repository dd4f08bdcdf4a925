import test from 'ava';
import { isAsExpected, type Measurement, report, rowsOf } from '../../../../bench/nodes/figures.ts';

function taken(
  wiring: Measurement['wiring'],
  seconds: number,
  changes: Partial<Measurement> = {},
): Measurement {
  return { round: 0, scenario: 'lost', runtime: 'skopeo', wiring, seconds, served: 0, ...changes };
}

test('a row holds the medians of the rounds and what our wiring costs', (t) => {
  const all = [
    ...[0.3, 9, 0.5].map((seconds) => taken('none', seconds)),
    ...[1.5, 1, 2].map((seconds) => taken('ours', seconds)),
    taken('service', 60, { failure: 'given up' }),
    taken('none', 1, { runtime: 'dockerd' }),
    taken('ours', 3.5, { runtime: 'dockerd' }),
  ];
  const [skopeo, dockerd] = rowsOf(all);
  t.like(skopeo, { seconds: { none: 0.5, ours: 1.5, service: 60 }, extra: 1 });
  t.deepEqual(skopeo?.failures, { none: 0, ours: 0, service: 1 });
  t.like(dockerd, { seconds: { none: 1, ours: 3.5 }, extra: 2.5 });
  t.true(isAsExpected(skopeo!));
  t.false(isAsExpected(dockerd!));
});

test('a pull that fails with our wiring is never as expected, however quick it was', (t) => {
  const [row] = rowsOf([taken('none', 1), taken('ours', 0.1, { failure: 'not found' })]);
  t.false(isAsExpected(row!));
});

test('the table tells what was given up, what is missing and what is missed', (t) => {
  const rows = rowsOf([
    taken('none', 0.3),
    taken('ours', 0.25),
    taken('service', 60, { failure: 'given up' }),
    taken('none', 1, { scenario: 'x' }),
    taken('ours', 4, { scenario: 'x' }),
  ]);
  t.deepEqual(report(rows, new Map([['lost', 'black hole']])).split('\n'), [
    'scenario    runtime  no wiring  our wiring  above  Service address',
    'black hole   skopeo       0.30        0.25  -0.05     failed 60.00',
    'x            skopeo       1.00        4.00  +3.00                   MISSED',
  ]);
});
