import test from 'ava';
import { parseOptions } from '../../../../bench/reconcile/options.ts';

test('without options 1, 50 and 200 mirrors are measured and a minute of idling', (t) => {
  const expected = { mirrors: [1, 50, 200], idleSeconds: 60, json: false, operator: undefined };
  t.deepEqual(parseOptions([]), expected);
});

test('options replace the defaults', (t) => {
  const options = parseOptions(['--mirrors', '3,20', '--idle=5', '--json', '--operator', '/a/b']);
  t.deepEqual(options, { mirrors: [3, 20], idleSeconds: 5, json: true, operator: '/a/b' });
});

for (const args of [
  ['--mirrors', '0'],
  ['--mirrors', '1,,2'],
  ['--idle', '1.5'],
  ['--mirrors', '1e3'],
]) {
  test(`${args.join(' ')} is refused by name`, (t) => {
    t.throws(() => parseOptions(args), { message: new RegExp(`^${args[0]}: expected a whole number`) });
  });
}

test('an unknown option is refused', (t) => {
  t.throws(() => parseOptions(['--mirror', '1']));
});
