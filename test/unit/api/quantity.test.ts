import test from 'ava';
import fc from 'fast-check';
import { quantityBytes, quantityNanos } from '../../../src/api/quantity.ts';
import { quantityPattern } from '../../../src/api/schema-parts.ts';

const bytes: [string | number, number][] = [
  ['20Gi', 20 * 1024 ** 3],
  ['1.5Ti', 1.5 * 1024 ** 4],
  ['0.5Ki', 512],
  ['100M', 100_000_000],
  ['5e3', 5000],
  ['2E', 2e18],
  [42, 42],
  ['1500m', 1],
  ['+7', 7],
];

for (const [quantity, expected] of bytes) {
  test(`${quantity} is ${expected} bytes`, (t) => {
    t.is(quantityBytes(quantity), expected);
  });
}

test('different spellings of one quantity are one number', (t) => {
  for (const spellings of [
    ['1', '1000m', '1e0', '1.0', '0.001k'],
    ['1Gi', '1024Mi', '1073741824'],
    ['-2', '-2000m'],
    ['.5', '500m'],
  ]) {
    t.is(new Set(spellings.map(quantityNanos)).size, 1, spellings.join());
  }
});

test('what is no quantity is no number', (t) => {
  for (const value of [
    '',
    '.',
    'Gi',
    '1 Gi',
    '1gi',
    '1KiB',
    '0x10',
    'NaN',
    '1e',
    '1ee3',
    null,
    {},
    Number.NaN,
  ]) {
    t.is(quantityNanos(value), undefined, String(value));
  }
  t.throws(() => quantityBytes('much'), { instanceOf: TypeError, message: /"much"/ });
});

test('everything the schema takes for a quantity is one', (t) => {
  fc.assert(
    fc.property(fc.stringMatching(new RegExp(quantityPattern)), (quantity) => {
      t.not(quantityNanos(quantity), undefined);
    }),
  );
});

test('what is finer than Kubernetes keeps is rounded up, as it does', (t) => {
  t.is(quantityNanos('0.0000000001'), 1n);
});
