import test from 'ava';
import fc from 'fast-check';
import { parseLiteral } from '../../../src/config/literal.ts';

test('Python, JSON and YAML flow style give the same value', (t) => {
  const expected = [
    { key: 'dedicated', operator: 'Equal', value: "it's", toleration_seconds: null, ok: true, n: -3 },
  ];
  const python = `[{'key': 'dedicated', "operator": u'Equal', 'value': 'it\\'s', 'toleration_seconds': None, 'ok': True, 'n': -3,},]`;
  t.deepEqual(parseLiteral(python), expected);
  t.deepEqual(parseLiteral(JSON.stringify(expected)), expected);
  t.deepEqual(
    parseLiteral(
      `[{key: dedicated, operator: Equal, value: "it's", toleration_seconds: null, ok: true, n: -3}]`,
    ),
    expected,
  );
});

test('a Python tuple is a list and an empty dict an empty object', (t) => {
  t.deepEqual(parseLiteral("('a', 'b')"), ['a', 'b']);
  t.deepEqual(parseLiteral('{}'), {});
});

for (const text of ['{', "{'a': ", 'a=b', "__import__('os')"]) {
  test(`${text} is refused`, (t) => {
    t.throws(() => parseLiteral(text), { instanceOf: SyntaxError });
  });
}

test('what Python prints of a JSON value is read back', (t) => {
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value;
  fc.assert(
    fc.property(value, (sample) => {
      fc.pre(typeof sample === 'object' && sample !== null);
      t.deepEqual(parseLiteral(pythonRepr(sample)), sample);
    }),
  );
});

function pythonRepr(value: unknown): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string')
    return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')}'`;
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`;
  return `{${Object.entries(value as object)
    .map(([key, inner]) => `${pythonRepr(key)}: ${pythonRepr(inner)}`)
    .join(', ')}}`;
}
