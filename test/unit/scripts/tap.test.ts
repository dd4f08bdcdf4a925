import test from 'ava';
import { countTap, emptyCounts, failureLines } from '../../../scripts/tap.ts';

test('passed, failed and skipped tests are counted and nothing else', (t) => {
  const counts = emptyCounts();
  const lines = [
    'TAP version 13',
    'ok 1 - a',
    'not ok 2 - b',
    '  ---',
    'ok 3 - c # SKIP',
    '1..3',
    '# tests 3',
    '',
  ];
  const shown = lines.filter((line) => countTap(line, counts));
  t.deepEqual(counts, { passed: 1, failed: 1, skipped: 1 });
  t.deepEqual(shown, ['ok 1 - a', 'not ok 2 - b', '  ---', 'ok 3 - c # SKIP']);
});

test('what a failed test says is told apart from what the others say', (t) => {
  const ofFailures = [
    ['not ok 2 - b', '#   log of b', '  ---', '    message: no', '  ...'],
    ['not ok 4 - d', '  ---', '  ...'],
    ['not ok 5 - e'],
  ];
  const lines = [
    'ok 1 - a',
    '#   log of a',
    ...(ofFailures[0] ?? []),
    '# of no test',
    'not ok 3 - c # TODO',
    ...(ofFailures[1] ?? []),
    ...(ofFailures[2] ?? []),
    '1..5',
    '# tests 5',
  ];
  t.deepEqual(lines.filter(failureLines()), ofFailures.flat());
});
