/** Image references and near misses for property tests. */
import fc from 'fast-check';
import type { ImageReference } from '../../src/image/reference.ts';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?$/);
const port = fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined });

/** `host[:port]` as the domain rule tells it from a path. */
export const registries = fc
  .tuple(
    fc.oneof(
      fc.array(label, { minLength: 2, maxLength: 3 }).map((labels) => labels.join('.')),
      fc.constantFrom(
        'localhost',
        'GHCR.IO',
        '[fd00::1]',
        'docker.io',
        'index.docker.io',
        'Registry',
        'my_host.io',
      ),
    ),
    port,
  )
  // With a port a host must be one by the grammar.
  .map(([host, number]) => (number === undefined || host.includes('_') ? host : `${host}:${number}`));

const segment = fc.stringMatching(/^[a-z0-9]{1,4}((\.|_|__|-{1,2})[a-z0-9]{1,4}){0,2}$/);

/** One to three segments; the first one is none of a registry's. */
export const paths = fc
  .array(segment, { minLength: 1, maxLength: 3 })
  .map((segments) => segments.join('/'))
  .filter((path) => !path.includes('/') || !/^([^/]*\.|localhost\/)/.test(path));

const digests = fc.constantFrom(
  `sha256:${'ab'.repeat(32)}`,
  `sha512:${'0c'.repeat(64)}`,
  `sha384:${'9f'.repeat(48)}`,
);

/** Parts that make a reference. */
export const references: fc.Arbitrary<ImageReference> = fc.record({
  registry: fc.option(registries, { nil: undefined }),
  path: paths,
  tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,8}$/), { nil: undefined }),
  digest: fc.option(digests, { nil: undefined }),
});

/** Texts that are nearly references. */
export const nearReferences = fc
  .array(
    fc.constantFrom('a', 'b.c', 'D', ':', ':5000', '/', '@', '-', '_', '.', 'localhost', '[::1]', ' ', 'é'),
    {
      maxLength: 9,
    },
  )
  .map((pieces) => pieces.join(''));
