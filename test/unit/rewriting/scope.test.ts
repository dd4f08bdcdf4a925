import test from 'ava';
import fc from 'fast-check';
import { ownPodsLabel } from '../../../src/api/names.ts';
import { exemptNamespace, imageswapLabel } from '../../../src/api/rewrite-selectors.ts';
import { sourceNames } from '../../../src/image/rules/table.ts';
import { imageMapperLabel, namespaceScope, objectOptOut } from '../../../src/rewriting/scope.ts';

const all = { namespaces: 'all' } as const;
const labelled = { namespaces: 'labelled' } as const;

const rows: readonly [string, Record<string, string> | undefined, typeof all | typeof labelled, string[]][] =
  [
    ['a namespace without labels', undefined, all, ['imageMaps', 'mirrors', 'gilly']],
    [
      'one that is labelled for imageswap',
      { [imageswapLabel]: 'enabled' },
      all,
      ['imageMaps', 'imageswap', 'mirrors', 'gilly'],
    ],
    ['one without labels where labels are asked for', {}, labelled, ['imageMaps']],
    [
      'one that is labelled where labels are asked for',
      { [imageswapLabel]: 'enabled' },
      labelled,
      ['imageMaps', 'imageswap', 'mirrors', 'gilly'],
    ],
    ['one whose ImageMaps do not count', { [imageMapperLabel]: 'false' }, all, ['mirrors', 'gilly']],
    [
      'one whose ImageMaps alone do not count',
      { [imageMapperLabel]: 'false', [imageswapLabel]: 'enabled' },
      labelled,
      ['imageswap', 'mirrors', 'gilly'],
    ],
    ['one with another value of imageswap’s label', { [imageswapLabel]: 'true' }, labelled, ['imageMaps']],
    ['one with another value of image-mapper’s label', { [imageMapperLabel]: 'no' }, labelled, ['imageMaps']],
  ];

for (const [title, labels, settings, sources] of rows) {
  test(`${title} has the sources ${sources.join(', ')}`, (t) => {
    t.deepEqual(namespaceScope('team', labels, settings), { sources: sources as never });
  });
}

test('a namespace that is disabled is left alone, and it is said why', (t) => {
  t.deepEqual(namespaceScope('team', { [imageswapLabel]: 'disabled' }, all), {
    sources: [],
    optedOut: 'namespace team has the label k8s.twr.io/imageswap=disabled',
  });
});

test('kube-system is left alone whatever its labels are', (t) => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.constantFrom(imageswapLabel, imageMapperLabel),
        fc.constantFrom('enabled', 'true', 'false'),
      ),
      fc.constantFrom(all, labelled),
      (labels, settings) => {
        const { sources, optedOut } = namespaceScope(exemptNamespace, labels, settings);
        t.deepEqual(sources, []);
        t.is(optedOut, 'namespace kube-system is never rewritten');
      },
    ),
  );
});

test('sources come in the order in which they are asked', (t) => {
  const { sources } = namespaceScope('team', { [imageswapLabel]: 'enabled' }, all);
  t.deepEqual(sources, sourceNames);
});

test('an object with the label, one of ours, or a mirror pod is left alone', (t) => {
  const settings = { disableLabel: 'example.com/leave' };
  const byLabels = (labels: Record<string, string>) => objectOptOut({ labels }, settings);
  t.is(objectOptOut({}, settings), undefined);
  t.is(byLabels({ 'example.com/leave': 'enabled' }), undefined);
  t.is(byLabels({ [imageswapLabel]: 'disabled' }), undefined);
  t.is(byLabels({ 'example.com/leave': 'disabled' }), 'it has the label example.com/leave=disabled');
  t.is(byLabels({ [ownPodsLabel.key]: ownPodsLabel.value }), 'it belongs to the mirrors themselves');
  t.is(byLabels({ [ownPodsLabel.key]: 'Helm' }), undefined);
  const byAnnotations = (annotations: Record<string, string>) => objectOptOut({ annotations }, settings);
  t.is(byAnnotations({ 'kubernetes.io/config.mirror': '' }), 'it shows a static pod of a node');
  t.is(byAnnotations({ 'kubernetes.io/config.source': 'file' }), undefined);
});
