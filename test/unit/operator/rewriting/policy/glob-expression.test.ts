import test from 'ava';
import fc from 'fast-check';
import { compileGlob } from '../../../../../src/image/glob.ts';
import {
  canMatchBelow,
  globExpression,
  wholeExpression,
} from '../../../../../src/operator/rewriting/policy/glob-expression.ts';

const rows: readonly [string, { begins: string; matches: string }][] = [
  ['ghcr.io/public*', { begins: 'ghcr.io/public', matches: '' }],
  ['nginx', { begins: 'nginx', matches: '^(?s:nginx)$' }],
  ['*', { begins: '', matches: '' }],
  ['a.b/?', { begins: 'a.b/', matches: '^(?s:a\\.b/.)$' }],
  ['*.ecr.*/x', { begins: '', matches: '^(?s:.*\\.ecr\\..*/x)$' }],
  ['q/[ab]*', { begins: 'q/', matches: '^(?s:q/[ab].*)$' }],
  ['q/[!a-c]', { begins: 'q/', matches: '^(?s:q/[^a-c])$' }],
  ['[x]y*', { begins: 'xy', matches: '' }],
  ['[z-a]', { begins: '', matches: '^(?s:[^\\x{0}-\\x{10ffff}])$' }],
  ['é*x', { begins: 'é', matches: '^(?s:\\x{e9}.*x)$' }],
];

for (const [pattern, expected] of rows) {
  test(`${pattern} is looked up by ${JSON.stringify(expected)}`, (t) => {
    t.deepEqual(globExpression(pattern), expected);
  });
}

const pieces = fc.constantFrom('*', '?', 'a', 'b', '.', '/', '[ab]', '[!a]', '[a-b]', '+', '$', '(', '\\');
const patterns = fc.array(pieces, { maxLength: 7 }).map((some) => some.join(''));
const texts = fc.stringMatching(/^[ab./+$(\\]{0,8}$/);

/** JavaScript writes a code point otherwise than RE2; all else in these expressions is the same. */
function asJavaScript(expression: string): RegExp {
  return new RegExp(expression.replaceAll(/\\x\{([0-9a-f]+)\}/g, '\\u{$1}'), 'v');
}

test('a text matches the beginning and the expression exactly when it matches the pattern', (t) => {
  fc.assert(
    fc.property(patterns, texts, (pattern, text) => {
      const { begins, matches } = globExpression(pattern);
      const isMatch = text.startsWith(begins) && (matches === '' || asJavaScript(matches).test(text));
      t.is(isMatch, compileGlob(pattern)(text), pattern);
      t.is(asJavaScript(wholeExpression(pattern)).test(text), compileGlob(pattern)(text), pattern);
    }),
    { numRuns: 2000 },
  );
});

test('a pattern that matches a text can match below every beginning of it', (t) => {
  fc.assert(
    fc.property(patterns, texts, fc.nat(8), (pattern, text, length) => {
      if (compileGlob(pattern)(text)) t.true(canMatchBelow(pattern, text.slice(0, length)), pattern);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test('a pattern for one registry cannot match below another', (t) => {
  t.false(canMatchBelow('ghcr.io/public*', 'mirror.local/'));
  t.false(canMatchBelow('nginx', 'mirror.local/'));
  t.true(canMatchBelow('*/nginx', 'mirror.local/'));
  t.true(canMatchBelow('mirror.*', 'mirror.local/'));
});
