/** `recompileRules` against `compileRules`: what is kept of the table before must never show. */
import test from 'ava';
import fc from 'fast-check';
import {
  compileRules,
  type RuleSources,
  type RuleTable,
  recompileRules,
  rewriteImage,
  sourceNames,
} from '../../../../src/image/rules/table.ts';

const images = ['nginx', 'quay.io/a', 'ghcr.io/b:1', 'r.local/a', 'r.local/b'];
const image = fc.constantFrom(...images);

const imageMaps = fc.array(
  fc.record({
    namespace: fc.constantFrom('team', 'other'),
    name: fc.constantFrom('a', 'b', 'c'),
    creationTimestamp: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
    map: fc.array(fc.record({ from: image, to: fc.oneof(image, fc.constantFrom('', 'A b')) }), {
      maxLength: 3,
    }),
  }),
  { maxLength: 3 },
);
const mapLines = fc.constantFrom(
  'default::',
  'default::r.local',
  'quay.io::r.local',
  'r.local::quay.io',
  '[EXACT]nginx::quay.io/a',
  '[REPLACE]ghcr*::r.local',
  'no separator',
);
const imageswap = fc.oneof(
  fc.array(mapLines, { maxLength: 4 }).map((lines) => ({ map: lines.join('\n') })),
  fc.constantFrom('r.local', '', 'No Prefix').map((legacyPrefix) => ({ legacyPrefix })),
);
const mirrors = fc.array(
  fc.record({
    name: fc.constantFrom('one', 'two'),
    masquerade: fc.constantFrom('quay.io', 'ghcr.io', 'with:5000'),
    address: fc.option(fc.constant('10.0.0.1'), { nil: undefined }),
    available: fc.boolean(),
  }),
  { maxLength: 2 },
);
const gilly = fc.record({
  registry: fc.constantFrom('r.local', 'no registry'),
  exclude: fc.constant([]),
  keepSource: fc.boolean(),
});
const sources: fc.Arbitrary<RuleSources> = fc.record(
  {
    imageMaps: fc.option(imageMaps, { nil: undefined }),
    imageswap: fc.option(imageswap, { nil: undefined }),
    mirrors: fc.option(mirrors, { nil: undefined }),
    gilly: fc.option(gilly, { nil: undefined }),
  },
  { requiredKeys: [] },
);

test('a table of which some sources changed is the table of all of them', (t) => {
  fc.assert(
    fc.property(sources, fc.array(sources, { minLength: 1, maxLength: 4 }), (first, changes) => {
      const recompiled = changes.reduce(recompileRules, compileRules(first));
      const compiled = compileRules(Object.assign({}, first, ...changes));
      t.deepEqual(seenFrom(recompiled), seenFrom(compiled));
    }),
    { numRuns: 300 },
  );
});

/** All that a table tells, and does with images. */
function seenFrom(table: RuleTable) {
  const { stages: _, ...told } = table;
  const done = images.map((one) =>
    sourceNames.map((name) => rewriteImage(table, one, { namespace: 'team' }, [name])),
  );
  const together = images.map((one) => rewriteImage(table, one, { namespace: 'team' }));
  return { told, done, together };
}
