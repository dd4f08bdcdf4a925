import test from 'ava';
import fc from 'fast-check';
import { withoutManagedFields } from '../../../src/admission/managed-fields.ts';

const name = 'managedFields';
/** Values of which many have such a list, or a text that looks like one. */
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, 1, true, `,"${name}":[`, '\\', '"]', ']"', `\\","${name}":[]`),
    fc.string(),
    fc.array(tie('value')),
    fc.dictionary(fc.constantFrom('a', 'b]', name, `,"${name}":[`, '"'), tie('value'), {
      noNullPrototype: true,
    }),
  ),
}));

test('nothing but the content of these lists is left out', (t) => {
  fc.assert(
    fc.property(value, (each) => {
      t.deepEqual(JSON.parse(withoutManagedFields(JSON.stringify(each))), expected(each));
    }),
    { numRuns: 500 },
  );
});

test('of a text that is no JSON nothing is made that is', (t) => {
  for (const text of [
    `{"a":1,"${name}":[`,
    `{"a":1,"${name}":["]`,
    `{"a":1,"${name}":[[]`,
    `{"a":1,"${name}":["\\`,
    `{"a":1,"${name}":[]`,
    '',
  ])
    t.throws(() => JSON.parse(withoutManagedFields(text)), { instanceOf: SyntaxError }, text);
});

test('both objects of an update lose them', (t) => {
  const metadata = { name: 'a', [name]: [{ fieldsV1: { 'f:spec': { 'k:{"a":"]"}': {} } } }] };
  const review = { request: { object: { metadata }, oldObject: { metadata } } };
  const bare = { metadata: { name: 'a', [name]: [] } };
  t.deepEqual(JSON.parse(withoutManagedFields(JSON.stringify(review))), {
    request: { object: bare, oldObject: bare },
  });
});

function expected(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expected);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([key, each], at) => {
    const isLeftOut = key === name && at > 0 && Array.isArray(each);
    return [key, isLeftOut ? [] : expected(each)];
  });
  return Object.fromEntries(fields);
}
