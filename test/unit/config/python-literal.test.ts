import test from 'ava';
import { parsePythonLiteral } from '../../../src/config/python-literal.ts';

/** Each with what Python makes of it, as JSON. */
const literals: Record<string, unknown> = {
  "{u'a': u'b', R'c': r'\\d'}": { a: 'b', c: '\\d' },
  "{'a': 'b' 'c'}": { a: 'bc' },
  "['a' 'b'\n \"c\"]": ['abc'],
  "{'a': '''b\n'c' ''', \"\"\"d\"\"\": \"\"}": { a: "b\n'c' ", d: '' },
  "'\\x41\\u00e4\\U0001F600\\101\\0'": 'Aä\u{1F600}A\0',
  "'\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"\\q'": '\x07\b\f\n\r\t\v\\\'"\\q',
  "'a\\\nb'": 'ab',
  "({'a': 'b'})": { a: 'b' },
  "(('a'))": 'a',
  "('a',)": ['a'],
  '()': [],
  "{'key': 'a'}, {'key': 'b'},": [{ key: 'a' }, { key: 'b' }],
  '[1, -2, +3, 1_000, 0x1F, 0o17, 0b11, 1.5, -.5, 1e3, 2.]': [1, -2, 3, 1000, 31, 15, 3, 1.5, -0.5, 1000, 2],
  "{1: None, 'b': True,}": { 1: null, b: true },
  "[ # a comment\n 'a', # another ]\n]": ['a'],
};

for (const [text, expected] of Object.entries(literals)) {
  test(`${text} is read as Python reads it`, (t) => {
    t.deepEqual(parsePythonLiteral(text), expected);
  });
}

const none = [
  '',
  '# nothing',
  'a',
  "{'a'}",
  "{'a': }",
  "{'a': 'b'",
  "{'a': 'b'}}",
  "{('a',): 'b'}",
  "['a' 1]",
  '[,]',
  "['a',,]",
  "('a'), ('b'",
  "b'a'",
  "f'a'",
  "'\\x4'",
  "'\\N{DASH}'",
  "'\\UFFFFFFFF'",
  "'a",
  '1j',
  '1 2',
  'None1',
  "__import__('os')",
];

for (const text of none) {
  test(`${JSON.stringify(text)} is refused`, (t) => {
    t.throws(() => parsePythonLiteral(text), { instanceOf: SyntaxError });
  });
}
