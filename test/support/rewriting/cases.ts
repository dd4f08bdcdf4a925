/** Rule sets and images at random, and the recorded vectors, for comparing engines. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { formatReference } from '../../../src/image/reference.ts';
import type { RuleSources } from '../../../src/image/rules/table.ts';
import { nearReferences, references } from '../reference-arbitraries.ts';

/** A recorded answer of imageswap 1.5.3; `expected` is what is right, null: unchanged. */
export interface Vector {
  readonly maps?: string;
  readonly legacyPrefix?: string;
  readonly image: string;
  readonly expected: string | null;
}

export const vectors: readonly Vector[] = readFileSync('test/unit/image/imageswap/vectors.jsonl', 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Vector);

/** The rules of a vector. */
export function vectorSources({ maps, legacyPrefix }: Vector): RuleSources {
  return { imageswap: legacyPrefix === undefined ? { map: maps ?? '' } : { legacyPrefix } };
}

const hosts = fc.constantFrom(
  ...['a.io', 'b.io', 'd.io', 'c.io:5000', 'docker.io', 'index.docker.io', '10.0.0.1', 'localhost', 'Reg'],
  ...['[fd00::1]:5000', 'my_host.io'],
);
/** Places that no rule is for. */
const clean = fc.constantFrom('t.io', 'u.io:443', 'harbor', 'localhost', 'registry:5000', 'v.io');

/** Names, tags and digests about as long as they may be. */
const longImages = fc
  .record({
    host: fc.option(hosts, { nil: undefined }),
    length: fc.integer({ min: 215, max: 262 }),
    separator: fc.constantFrom('/', '.', '__'),
    tag: fc.option(fc.integer({ min: 126, max: 130 }), { nil: undefined }),
    digest: fc.option(
      fc.tuple(
        fc.constantFrom('sha256', 'sha384', 'sha512', 'x', 'constructor'),
        fc.constantFrom(31, 32, 63, 64, 96, 128, 129, 500, 640),
      ),
      { nil: undefined },
    ),
  })
  .map(({ host, length, separator, tag, digest }) => {
    let name = `${host === undefined ? '' : `${host}/`}aaaaaaaaa`;
    while (name.length + separator.length < length)
      name += separator + 'b'.repeat(Math.min(9, length - name.length - separator.length));
    const [algorithm, hex] = digest ?? [];
    return `${name}${tag === undefined ? '' : `:${'t'.repeat(tag)}`}${hex === undefined ? '' : `@${algorithm}:${'e'.repeat(hex)}`}`;
  });

const edges = fc.constantFrom(
  ...['a'.repeat(64), 'A'.repeat(64), 'a'.repeat(237), 'a'.repeat(238), 'a'.repeat(256)],
  ...[
    `b/${'a'.repeat(243)}`,
    `b/${'a'.repeat(244)}`,
    `x@sha256:${'A'.repeat(64)}`,
    `x@constructor:${'f'.repeat(32)}`,
  ],
  ...['\u{1f600}/x', 'a.io:99/x', 'c.io/x', 'c.io:5001/x:1', '[abc]/x', '[abc]:1/x'],
);

/** Images that rules of `sources` are often for, that nearly are references, and that are as long as can be. */
export const images = fc
  .oneof(
    {
      weight: 3,
      arbitrary: fc
        .tuple(hosts, fc.constantFrom('x', 'a.io/x', 'p/x:1', 'docker.io/library/x', 'y/x/z'))
        .map((pair) => pair.join('/')),
    },
    { weight: 2, arbitrary: fc.constantFrom('x', 'y', 'x:1', 'p/x') },
    { weight: 2, arbitrary: references.map(formatReference) },
    nearReferences,
    longImages,
    edges,
  )
  // The API server takes no others in a pod.
  .filter((image) => image !== '' && image.trim() === image);

const targets = fc.oneof(
  clean,
  fc.tuple(clean, fc.constantFrom('p', 'p/q', 'm-', 'a_b', 'a-', 'P')).map((pair) => pair.join('/')),
  fc.constantFrom('', '', 'm-', 'b.io/p', 'a.io/m-', 'a_b', 'x/', 'p'),
  hosts,
);
const lines = fc.array(
  fc.oneof(
    fc.tuple(
      fc.oneof(hosts, fc.constantFrom('default', 'default', 'docker.io/library', 'a.io:99', 'c.io')),
      targets,
    ),
    fc.tuple(fc.constant('noswap_wildcards'), fc.constantFrom('p/', 'x:1', 'd.io,y')),
    fc
      .tuple(
        images,
        fc.oneof(
          images,
          clean.map((place) => `${place}/img`),
        ),
      )
      .map(([from, to]) => [`[EXACT]${from}`, to]),
    fc
      .tuple(
        fc.constantFrom(
          '*/x',
          'a.io/*',
          '?',
          '[a-y]',
          'b.io/[!x]*',
          'p/?',
          'docker.io/*x*',
          '*@*',
          'localhost*/x',
        ),
        fc.oneof(targets, hosts),
      )
      .map(([from, to]) => [`[REPLACE]${from}`, to]),
  ),
  { maxLength: 7 },
);

function imageMap(from: string, to: string, at: number) {
  return {
    namespace: 'team',
    name: `m${at}`,
    creationTimestamp: '2026-01-01T00:00:00Z',
    map: [{ from, to }],
  };
}

/** Rules of every source, in each other's way as often as not. */
export const ruleSources: fc.Arbitrary<RuleSources> = fc.record(
  {
    imageMaps: fc
      .array(fc.tuple(images, images), { maxLength: 5 })
      .map((pairs) => pairs.map(([from, to], at) => imageMap(from, to, at))),
    imageswap: fc.oneof(
      {
        weight: 4,
        arbitrary: fc.tuple(fc.boolean(), lines).map(([hasDefault, all]) => ({
          map: `${hasDefault ? 'default::\n' : ''}${all.map((pair) => pair.join('::')).join('\n')}`,
        })),
      },
      { weight: 1, arbitrary: fc.oneof(hosts, targets).map((legacyPrefix) => ({ legacyPrefix })) },
    ),
    mirrors: fc.uniqueArray(
      fc.record({
        name: fc.constantFrom('m', 'n', 'o'),
        masquerade: hosts,
        address: fc.option(fc.constantFrom('10.9.9.9', '[fd00::9]', 'a.io', '10.0.0.1'), { nil: undefined }),
        available: fc.boolean(),
      }),
      { maxLength: 3, selector: ({ name }) => name },
    ),
    gilly: fc.record({
      registry: fc.oneof(
        clean,
        targets.filter((target) => target !== ''),
        hosts,
      ),
      exclude: fc.array(
        fc.oneof(
          hosts,
          fc.constantFrom(
            '.io',
            'a.',
            '*.io',
            '?.io:*',
            'local*',
            '[ab]*',
            '.docker.io',
            'registry-1.docker.io',
          ),
        ),
        {
          maxLength: 2,
        },
      ),
      keepSource: fc.boolean(),
    }),
  },
  { requiredKeys: [] },
);
