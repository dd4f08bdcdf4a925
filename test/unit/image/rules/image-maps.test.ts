import test from 'ava';
import fc from 'fast-check';
import { compileImageMaps, type ImageMap } from '../../../../src/image/rules/image-maps.ts';
import { settle } from '../../../../src/image/settle.ts';

function imageMap(name: string, map: readonly [string, string][], day = 1, namespace = 'ns'): ImageMap {
  return {
    namespace,
    name,
    creationTimestamp: `2026-01-0${day}T00:00:00Z`,
    map: map.map(([from, to]) => ({ from, to })),
  };
}

function mapped(maps: readonly ImageMap[], image: string, namespace = 'ns'): string {
  return settle([compileImageMaps(maps).stage], image, { namespace }).result;
}

test('images are compared to the letter', (t) => {
  const maps = [imageMap('a', [['nginx', 'r.io/nginx']])];
  t.is(mapped(maps, 'nginx'), 'r.io/nginx');
  for (const image of ['nginx:latest', 'library/nginx', 'docker.io/library/nginx'])
    t.is(mapped(maps, image), image);
  t.is(mapped(maps, 'nginx', 'other'), 'nginx');
});

test('the older map wins, and the other one’s message is the original’s', (t) => {
  const older = imageMap(
    'older',
    [
      ['b', 'r/1'],
      ['a', 'r/2'],
      ['c', 'r/3'],
    ],
    1,
  );
  const newer = imageMap(
    'newer',
    [
      ['b', 's/1'],
      ['a', 's/2'],
      ['c', 'r/3'],
      ['d', 's/4'],
    ],
    2,
  );
  const { findings } = compileImageMaps([newer, older]);
  t.deepEqual(findings, [
    { namespace: 'ns', name: 'older', notes: [] },
    {
      namespace: 'ns',
      name: 'newer',
      rejected:
        'imagemap "newer" in namespace "ns" was rejected: it maps "a" to "s/2" but older maps "a" to "r/2", it maps "b" to "s/1" but older maps "b" to "r/1"',
      notes: [],
    },
  ]);
  t.is(mapped([newer, older], 'b'), 'r/1');
  t.is(mapped([newer, older], 'd'), 'd', 'a rejected map has no line in force');
});

test('of two of one age the name decides, and namespaces do not meddle', (t) => {
  const maps = [
    imageMap('b', [['x', 'r/b']]),
    imageMap('a', [['x', 'r/a']]),
    imageMap('c', [['x', 'r/c']], 1, 'other'),
  ];
  t.is(mapped(maps, 'x'), 'r/a');
  t.is(mapped(maps, 'x', 'other'), 'r/c');
});

test('a map that stands in a rejected map’s way no more lets it in', (t) => {
  const [first, second, third] = [
    imageMap('first', [['x', 'r/1']], 1),
    imageMap(
      'second',
      [
        ['x', 'r/2'],
        ['y', 'r/2'],
      ],
      2,
    ),
    imageMap('third', [['y', 'r/3']], 3),
  ] as const;
  t.is(mapped([first, second, third], 'y'), 'r/3');
  t.is(mapped([second, third], 'y'), 'r/2');
});

test('what the order of maps is does not matter', (t) => {
  const names = fc.constantFrom('a', 'b', 'c');
  const lines = fc.array(fc.tuple(names, fc.constantFrom('r/1', 'r/2')), { maxLength: 3 });
  const maps = fc.uniqueArray(fc.tuple(names, lines, fc.integer({ min: 1, max: 2 })), {
    selector: ([name]) => name,
  });
  fc.assert(
    fc.property(maps, (all) => {
      const several = all.map(([name, map, day]) => imageMap(name, map, day));
      t.deepEqual(compileImageMaps(several.toReversed()).findings, compileImageMaps(several).findings);
    }),
  );
});

test('odd lines are harmless, and told', (t) => {
  const map = imageMap('odd', [
    ['twice', 'r/1'],
    ['twice', 'r/2'],
    ['self', 'self'],
    ['empty', ''],
    ['p', 'q'],
    ['q', 'p'],
    ['a', 'b'],
    ['b', 'c'],
  ]);
  t.deepEqual(compileImageMaps([map]).findings[0]?.notes, [
    '"twice" is mapped more than once, the last line counts',
    '"self" is mapped to itself, and stays',
    '"empty" stays: "" is no image reference',
    '"p" stays: its maps lead in a circle',
    '"q" stays: its maps lead in a circle',
    '"b" stays: imagemap "odd" maps "a" to it',
  ]);
  const results = ['twice', 'self', 'empty', 'p', 'q', 'a', 'b'].map((image) => mapped([map], image));
  t.deepEqual(results, ['r/2', 'self', 'empty', 'p', 'q', 'b', 'b']);
});
