import test from 'ava';
import fc from 'fast-check';
import { compileGlob } from '../../../src/image/glob.ts';

const rows: readonly [string, string, boolean][] = [
  ['*', '', true],
  ['a*', 'a/b/c', true],
  ['*/x', 'a/b/x', true],
  ['*/x', 'a/b/xy', false],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['quay.io/[ab]*', 'quay.io/bx', true],
  ['quay.io/[ab]*', 'quay.io/cx', false],
  ['[!a-c]x', 'dx', true],
  ['[!a-c]x', 'bx', false],
  ['[]]x', ']x', true],
  ['[!]]x', 'ax', true],
  ['[a', '[a', true],
  ['[a-]', '-', true],
  ['[z-a]', 'm', false],
  ['a.c', 'abc', false],
  ['A', 'a', false],
  ['*a*b*', 'xxaxxbxx', true],
  ['[!]', '!', false],
  ['[!]', '[!]', true],
  ['?/x', '\u{1f600}/x', true],
  ['[\u{1f5ff}-\u{1f601}]/x', '\u{1f600}/x', true],
  ['[\u{1f600}]/x', '\u{1f601}/x', false],
];

for (const [pattern, text, expected] of rows) {
  test(`${pattern} ${expected ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, (t) => {
    t.is(compileGlob(pattern)(text), expected);
  });
}

test('stars and question marks match as the regular expression does', (t) => {
  const piece = fc.constantFrom('*', '?', 'a', 'b', '/');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.stringMatching(/^[ab/]{0,10}$/), (pieces, text) => {
      const expression = pieces.map((p) => (p === '*' ? '.*' : p === '?' ? '.' : p)).join('');
      t.is(compileGlob(pieces.join(''))(text), new RegExp(`^${expression}$`).test(text));
    }),
  );
});

test('a pattern of many stars does not take for ever', (t) => {
  t.false(compileGlob(`${'*a'.repeat(60)}b`)('a'.repeat(4000)));
});
