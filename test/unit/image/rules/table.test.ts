import test from 'ava';
import fc from 'fast-check';
import { formatReference, isImageReference } from '../../../../src/image/reference.ts';
import { compileRules, type RuleSources, rewriteImage } from '../../../../src/image/rules/table.ts';
import type { RuleSource } from '../../../../src/image/settle.ts';
import { nearReferences, references } from '../../../support/reference-arbitraries.ts';

const imageMap = (map: Record<string, string>, name = 'boot') => ({
  namespace: 'team',
  name,
  creationTimestamp: '2026-01-01T00:00:00Z',
  map: Object.entries(map).map(([from, to]) => ({ from, to })),
});
const mirror = { name: 'hub', masquerade: 'quay.io', address: '10.0.0.1', available: true };
const gilly = { registry: 'my.internal.repo', exclude: [], keepSource: false };

const every: RuleSources = {
  imageMaps: [imageMap({ 'quay.io/one': 'map.local/one' })],
  imageswap: {
    map: 'default::\n[EXACT]quay.io/one::x\n[EXACT]quay.io/two::exact.local/two\n[REPLACE]quay.io/t*::pattern.local\nquay.io/x::\nghcr.io::line.local\ngcr.io::\n',
  },
  mirrors: [mirror],
  gilly,
};

const precedence: readonly [string, string, RuleSource][] = [
  ['quay.io/one', 'map.local/one', 'ImageMap'],
  ['quay.io/two', 'exact.local/two', 'imageswap [EXACT]'],
  ['quay.io/three', 'pattern.local/three', 'imageswap [REPLACE]'],
  ['ghcr.io/a', 'line.local/a', 'imageswap'],
  ['gcr.io/a', 'gcr.io/a', 'imageswap'],
  ['quay.io/four', '10.0.0.1/quay.io/four', 'mirror'],
  ['nginx', 'my.internal.repo/nginx', 'gilly'],
];

for (const [image, result, source] of precedence) {
  test(`${image} is decided by ${source}`, (t) => {
    const rewrite = rewriteImage(compileRules(every), image, { namespace: 'team' });
    t.is(rewrite.result, result);
    t.is(rewrite.rule?.source, source);
  });
}

test('an opt-out comes before every rule', (t) => {
  const rewrite = rewriteImage(compileRules(every), 'quay.io/one', { namespace: 'team', optedOut: 'label' });
  t.like(rewrite, { result: 'quay.io/one', outcome: 'optedOut', rule: undefined });
});

test('ImageMaps are for their own namespace', (t) => {
  const { result } = rewriteImage(compileRules(every), 'quay.io/one', { namespace: 'other' });
  t.is(result, 'x');
});

test('what one source makes is not taken on by the next ones', (t) => {
  const table = compileRules(every);
  for (const [image, result] of precedence) {
    const again = rewriteImage(table, result, { namespace: 'team' });
    t.is(again.result, result, image);
  }
});

test('no rules leave every image, and say so', (t) => {
  t.like(rewriteImage(compileRules({}), 'nginx'), { result: 'nginx', outcome: 'none', rule: undefined });
  t.is(rewriteImage(compileRules({}), 'No').outcome, 'notReference');
});

test('LEGACY stands where imageswap’s map does', (t) => {
  const table = compileRules({ imageswap: { legacyPrefix: 'reg.local/p' }, gilly });
  t.is(rewriteImage(table, 'gcr.io/a/b:1').result, 'reg.local/p/b:1');
});

test('a target that is none is told, and makes nothing', (t) => {
  const table = compileRules({
    imageswap: { legacyPrefix: 'https://x' },
    gilly: { ...gilly, registry: 'a/B' },
  });
  t.deepEqual(table.targetFaults, [
    { source: 'imageswap LEGACY', why: 'expected the beginning of an image reference, got "https://x"' },
    { source: 'gilly', why: 'expected a registry as host[:port][/path], got "a/B"' },
  ]);
  t.is(rewriteImage(table, 'nginx').outcome, 'none');
});

test('a line with two faults is told once', (t) => {
  const { mapFaults } = compileRules({ imageswap: { map: '[EXACT]a::b\n[EXACT]b::N::\n[EXACT]b::No' } });
  t.deepEqual(
    mapFaults.map(({ line }) => line),
    [2, 3],
  );
});

const hosts = fc.constantFrom('a.io', 'b.io', 'docker.io', '10.0.0.1', 'c.io:5000');
const image = fc.oneof(
  fc
    .tuple(hosts, fc.constantFrom('x', 'a.io/x', 'p/x:1', 'docker.io/library/x'))
    .map((pair) => pair.join('/')),
  fc.constantFrom('x', 'y', 'x:1', 'p/x'),
  references.map(formatReference),
  nearReferences,
);
const lines = fc.array(
  fc.oneof(
    fc.tuple(
      fc.oneof(hosts, fc.constant('default')),
      fc.oneof(hosts, fc.constantFrom('', 'b.io/p', 'a.io/m-')),
    ),
    fc.tuple(image, image).map(([from, to]) => [`[EXACT]${from}`, to]),
    fc.tuple(fc.constantFrom('*/x', 'a.io/*', '?'), hosts).map(([from, to]) => [`[REPLACE]${from}`, to]),
  ),
  { maxLength: 6 },
);
const sources = fc.record(
  {
    imageMaps: fc
      .array(fc.tuple(image, image), { maxLength: 5 })
      .map((pairs) => pairs.map(([from, to], index) => imageMap({ [from]: to }, `m${index}`))),
    imageswap: fc.oneof(
      lines.map((all) => ({ map: all.map((pair) => pair.join('::')).join('\n') })),
      fc.oneof(hosts, fc.constantFrom('a.io/m-', 'p')).map((legacyPrefix) => ({ legacyPrefix })),
    ),
    mirrors: fc.array(
      fc.record({
        name: fc.constantFrom('m', 'n'),
        masquerade: hosts,
        address: fc.option(hosts, { nil: undefined }),
        available: fc.boolean(),
      }),
      { maxLength: 3 },
    ),
    gilly: fc.record({
      registry: fc.oneof(hosts, fc.constant('a.io/gilly')),
      exclude: fc.array(hosts, { maxLength: 1 }),
      keepSource: fc.boolean(),
    }),
  },
  { requiredKeys: [] },
);

test('whatever the rules, results are image references, and applied again they stay', (t) => {
  fc.assert(
    fc.property(
      sources,
      fc.array(image, { minLength: 5, maxLength: 5 }),
      fc.constantFrom(undefined, 'pullSecrets' as const),
      fc.boolean(),
      (all, images, bypass, isNeverPulled) => {
        const table = compileRules(all);
        const request = { namespace: 'team', bypass, isNeverPulled };
        for (const one of images) {
          const rewrite = rewriteImage(table, one, request);
          t.true(rewrite.result === one || isImageReference(rewrite.result), rewrite.result);
          t.is(rewrite.outcome === 'rewritten', rewrite.result !== one);
          t.is(rewriteImage(table, rewrite.result, request).result, rewrite.result);
        }
      },
    ),
    { numRuns: 1500 },
  );
});
