import test from 'ava';
import { countTap, emptyCounts } from '../../../scripts/tap.ts';

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
