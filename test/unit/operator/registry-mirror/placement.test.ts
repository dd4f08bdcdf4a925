import test from 'ava';
import fc from 'fast-check';
import {
  leaving,
  type Placement,
  placementOf,
  samePlacement,
  type Term,
  termLimit,
} from '../../../../src/operator/registry-mirror/placement.ts';
import { type FakeNode, matchesTerm, selects } from '../../../support/node-selector.ts';

const keys = ['a', 'b', 'n'];
const value = fc.constantFrom('x', 'y', '0', '1', '2', '9223372036854775807');
const key = fc.constantFrom(...keys);

const requirement = fc.oneof(
  fc.record({
    key,
    operator: fc.constantFrom('In', 'NotIn'),
    values: fc.uniqueArray(value, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
  fc.record({
    key: fc.constant('n'),
    operator: fc.constantFrom('Gt', 'Lt'),
    values: fc.tuple(fc.constantFrom('0', '1', '2', '9223372036854775807')),
  }),
);
const field = fc.record({
  key: fc.constant('metadata.name'),
  operator: fc.constantFrom('In', 'NotIn'),
  values: fc.tuple(fc.constantFrom('one', 'two')),
});
const term = fc.record({
  matchExpressions: fc.array(requirement, { maxLength: 3 }),
  matchFields: fc.array(field, { maxLength: 2 }),
});
const placement: fc.Arbitrary<Placement> = fc.record(
  {
    nodeSelector: fc.dictionary(key, value, { maxKeys: 1 }),
    terms: fc.array(term, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ['nodeSelector'] },
);
/** What is compared as a number is one, or absent: the exception the module names. */
const node: fc.Arbitrary<FakeNode> = fc.record({
  name: fc.constantFrom('one', 'two', 'three'),
  labels: fc.record(
    { a: value, b: value, n: fc.constantFrom('0', '1', '2', '3', '9223372036854775807') },
    { requiredKeys: [] },
  ) as fc.Arbitrary<Record<string, string>>,
});

function isIn({ nodeSelector, terms }: Placement, one: FakeNode): boolean {
  const required = terms && { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } };
  return selects({ nodeSelector, ...(required && { affinity: { nodeAffinity: required } }) }, one);
}

function isAmong(terms: readonly Term[], one: FakeNode): boolean {
  return terms.some((each) => matchesTerm(each, one));
}

test('The nodes that leave are those of the old placements that the new one does not select', (t) => {
  let computed = 0;
  fc.assert(
    fc.property(
      fc.array(placement, { minLength: 1, maxLength: 2 }),
      placement,
      fc.array(node),
      (was, is, nodes) => {
        const terms = leaving(was, is);
        if (terms === undefined) return;
        computed += 1;
        for (const one of nodes) {
          t.is(
            isAmong(terms, one),
            was.some((each) => isIn(each, one)) && !isIn(is, one),
            JSON.stringify(one),
          );
        }
      },
    ),
    { numRuns: 2_000 },
  );
  t.true(computed > 1_500, `${computed}`);
});

test('Terms are few and can be sent: fields have one value each, nothing is empty', (t) => {
  fc.assert(
    fc.property(placement, placement, (was, is) => {
      const terms = leaving([was], is) ?? [];
      t.true(terms.length <= termLimit);
      for (const { matchExpressions = [], matchFields = [] } of terms) {
        t.true(matchExpressions.length + matchFields.length > 0);
        t.true(matchFields.every(({ values }) => values?.length === 1));
        t.true(
          matchExpressions.every(({ operator, values = [] }) => values.length > 0 || /Exist/.test(operator)),
        );
      }
    }),
  );
});

test('What stays, widens or is written another way lets no node go', (t) => {
  fc.assert(
    fc.property(placement, (same) => {
      t.deepEqual(leaving([same], same), leaving([same], same) === undefined ? undefined : []);
      t.deepEqual(leaving([same], { nodeSelector: {} }), []);
    }),
  );
  const requirement = (values: string[]) => ({
    nodeSelector: {},
    terms: [{ matchExpressions: [{ key: 'zone', operator: 'In', values }] }],
  });
  t.deepEqual(leaving([requirement(['a', 'b'])], requirement(['b', 'a'])), []);
  t.deepEqual(leaving([requirement(['a'])], { nodeSelector: { zone: 'a' } }), []);
});

test('A narrowed selector leaves out the nodes without the label, too', (t) => {
  const linux = { 'kubernetes.io/os': 'linux' };
  t.deepEqual(leaving([{ nodeSelector: linux }], { nodeSelector: { ...linux, pool: 'a' } }), [
    {
      matchExpressions: [
        { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] },
        { key: 'pool', operator: 'NotIn', values: ['a'] },
      ],
    },
  ]);
});

test('Terms that Kubernetes cannot read select nothing', (t) => {
  const odd = (one: object): Placement => ({
    nodeSelector: {},
    terms: [{ matchExpressions: [one as never] }],
  });
  const all = { nodeSelector: { a: 'x' } };
  for (const one of [
    { key: 'a', operator: 'Gt', values: ['many'] },
    { key: 'a', operator: 'Lt', values: ['-1'] },
    { key: 'a', operator: 'In', values: ['not a label'] },
    { key: 'a', operator: 'Near', values: ['x'] },
  ]) {
    t.deepEqual(leaving([odd(one)], all), []);
    t.is(leaving([all], odd(one))?.length, 1);
  }
  t.is(leaving([all], { nodeSelector: {}, terms: [{}] })?.length, 1, 'an empty term selects nothing');
});

test('Too many terms are no terms', (t) => {
  const terms = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((letter) => ({
    matchExpressions: [`${letter}1`, `${letter}2`].map((name) => ({ key: name, operator: 'Exists' })),
  }));
  t.is(leaving([{ nodeSelector: {} }], { nodeSelector: {}, terms: terms.slice(0, 6) })?.length, 64);
  t.is(leaving([{ nodeSelector: {} }], { nodeSelector: {}, terms }), undefined);
});

test('A placement is read from a pod’s spec; preferences are none', (t) => {
  const terms = [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }];
  const affinity = {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms },
      preferredDuringSchedulingIgnoredDuringExecution: [],
    },
  };
  t.deepEqual(placementOf({ nodeSelector: { b: 'x' }, affinity }), { nodeSelector: { b: 'x' }, terms });
  t.deepEqual(placementOf(undefined), { nodeSelector: {} });
  t.true(samePlacement({ nodeSelector: { a: '1', b: '2' } }, { nodeSelector: { b: '2', a: '1' } }));
  t.false(samePlacement({ nodeSelector: {} }, { nodeSelector: {}, terms: [] }));
});
