import test from 'ava';
import { parseOptions } from '../../../../bench/admission/options.ts';

test('without options every part is measured in five rounds', (t) => {
  t.deepEqual(parseOptions([]), { parts: ['alone', 'cluster'], rounds: 5, seconds: 5, json: false });
});

test('options replace the defaults', (t) => {
  const options = parseOptions(['--quick', '--seconds', '9', '--json', '--only', 'alone']);
  t.deepEqual(options, { parts: ['alone'], rounds: 2, seconds: 9, json: true });
});

test('what is wrong is refused by name', (t) => {
  t.throws(() => parseOptions(['--rounds', '0']), { message: /^--rounds: expected a whole number/ });
  t.throws(() => parseOptions(['--only', 'alone,x']), {
    message: /^--only: expected some of alone, cluster, got "x"/,
  });
});
