import test from 'ava';
import fc from 'fast-check';
import { parseBody } from '../../../src/admission/parse-body.ts';
import { processorTime } from '../../support/processor-time.ts';

const [name, begin, end] = ['managedFields', ',"managedFields":[', ']},"spec":{'];
/** Values of which many have such a list, before a `spec` or before something else, or texts that look like one. */
const { value } = fc.letrec((tie) => {
  const texts = fc.constantFrom(begin, end, `\\${begin}`, `\\${end}`, ']}', '},"spec":{', '\\', '"', '[');
  // V8 takes keys that end with something escaped for one another (nodejs/node#63785).
  const keys = texts.map((text) => `${text}x`);
  const object = fc.dictionary(fc.oneof(fc.constantFrom('a', name, 'spec'), keys), tie('value'), {
    noNullPrototype: true,
    maxKeys: 4,
  });
  const list = fc.array(tie('value'), { maxLength: 3 });
  return {
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, 1),
      texts,
      list,
      object,
      fc
        .record({ list, object, spec: object })
        .map((each) => ({ metadata: { ...each.object, [name]: each.list }, spec: each.spec })),
    ),
  };
});

test('all but these lists is as JSON says', (t) => {
  const compare = (each: unknown) => {
    const text = JSON.stringify(each);
    t.deepEqual(bare(parseBody(text)), bare(JSON.parse(text)));
  };
  fc.assert(fc.property(value, compare), { numRuns: 1_000 });
});

test('lists are left out of both objects of an update, where the API server has them', (t) => {
  const metadata = { name: 'a', [name]: [{ fieldsV1: { 'f:spec': { 'k:{"a":"}"}': {} } } }, {}] };
  const object = { metadata, spec: { containers: [] } };
  const parsed = parseBody(JSON.stringify({ request: { object, oldObject: object, dryRun: false } }));
  const less = { ...object, metadata: { ...metadata, [name]: [] } };
  t.deepEqual(parsed, { request: { object: less, oldObject: less, dryRun: false } });
});

test('a list that goes on is read whole', (t) => {
  for (const entries of [[[]], [{ a: [] }], [{ spec: {}, x: { y: [] } }], ['],"'], [']},"spec":{']]) {
    const object = { metadata: { name: 'a', [name]: entries }, spec: { containers: [1] } };
    t.deepEqual(parseBody(JSON.stringify(object)), object);
  }
  const other = { metadata: { name: 'a', [name]: [{}] }, status: { a: { b: [1] }, spec: {} } };
  t.deepEqual(parseBody(JSON.stringify(other)), other);
});

test('what is no JSON is none', (t) => {
  const object = JSON.stringify({ metadata: { name: 'a', [name]: [{}] }, spec: { containers: [1] } });
  for (let length = 0; length < object.length; length += 1)
    t.throws(() => parseBody(object.slice(0, length)), { instanceOf: SyntaxError });
});

test('seven mebibytes of beginnings are no trouble', (t) => {
  for (const close of ['', ']'.repeat(100), ']},"spec":{']) {
    const body = begin.repeat((7 * 2 ** 20) / begin.length) + close;
    const ms = processorTime(() => t.throws(() => parseBody(body), { instanceOf: SyntaxError }));
    t.true(ms < 5_000, `${ms} ms`);
  }
});

/** Without what is in these lists. */
function bare(each: unknown): unknown {
  return JSON.parse(JSON.stringify(each), (key, inner) =>
    key === name && Array.isArray(inner) ? [] : inner,
  );
}
