import test from 'ava';
import fc from 'fast-check';
import { Problems } from '../../../src/config/problems.ts';
import { readRewriteSettings } from '../../../src/config/rewrite-environment.ts';

type Variables = Record<string, string>;

function read(env: Variables) {
  const problems = new Problems();
  const settings = readRewriteSettings(env, problems);
  return { settings, faults: problems.lines };
}

const defaults = {
  engine: 'none',
  namespace: 'default',
  mirrors: false,
  imageswap: { configMapNamespace: 'default' },
  disableLabel: 'k8s.twr.io/imageswap',
  namespaces: 'all',
  skipOwners: ['Cluster.postgresql.cnpg.io'],
  annotate: true,
};

test('nothing is required, and the defaults are the documented ones', (t) => {
  t.deepEqual(read({}), { settings: defaults as never, faults: [] });
});

const understood: readonly [Variables, Record<string, unknown>][] = [
  [{ REWRITE_ENGINE: 'webhook' }, { engine: 'webhook' }],
  [{ REWRITE_ENGINE: 'policy' }, { engine: 'policy' }],
  [{ REWRITE_ENGINE: ' auto ' }, { engine: 'auto' }],
  [{ REWRITE_ENGINE: 'none' }, { engine: 'none' }],
  [{ REWRITE_ENGINE: '' }, { engine: 'none' }],
  [{ NAMESPACE: 'mirrors' }, { namespace: 'mirrors', imageswap: { configMapNamespace: 'mirrors' } }],
  [
    { NAMESPACE: 'mirrors', IMAGESWAP_NAMESPACE: 'imageswap-system' },
    { namespace: 'mirrors', imageswap: { configMapNamespace: 'imageswap-system' } },
  ],
  [{ ADDRESSING_SCHEME: 'hostess' }, { mirrors: false, imageswap: { configMapNamespace: 'default' } }],
  [{ ADDRESSING_SCHEME: 'services' }, { mirrors: true, imageswap: undefined }],
  [
    { ADDRESSING_SCHEME: 'services', IMAGESWAP_MAPS_FILE: '/maps/maps.conf' },
    { mirrors: true, imageswap: { file: '/maps/maps.conf' } },
  ],
  [{ IMAGESWAP_MAPS_FILE: '/app/maps/m.conf' }, { imageswap: { file: '/app/maps/m.conf' } }],
  [{ IMAGESWAP_MODE: 'maps' }, { imageswap: { configMapNamespace: 'default' } }],
  [{ IMAGESWAP_MODE: 'Legacy', IMAGE_PREFIX: 'r.io/p' }, { imageswap: { legacyPrefix: 'r.io/p' } }],
  [{ IMAGESWAP_MODE: 'LEGACY' }, { imageswap: { legacyPrefix: '' } }],
  [{ IMAGESWAP_MODE: 'LEGACY', IMAGE_PREFIX: 'r.io/p-' }, { imageswap: { legacyPrefix: 'r.io/p-' } }],
  [{ IMAGESWAP_MODE: 'LEGACY', IMAGE_PREFIX: 'r.io/p/' }, { imageswap: { legacyPrefix: 'r.io/p/' } }],
  [
    { IMAGESWAP_MODE: 'LEGACY', IMAGE_PREFIX: 'r.io', ADDRESSING_SCHEME: 'services' },
    { mirrors: true, imageswap: { legacyPrefix: 'r.io' } },
  ],
  [{ IMAGE_PREFIX: 'not asked for' }, { imageswap: { configMapNamespace: 'default' } }],
  [
    { GILLY_REGISTRY: 'my.internal.repo' },
    { gilly: { registry: 'my.internal.repo', exclude: [], keepSource: false } },
  ],
  [
    {
      GILLY_REGISTRY: 'my.internal.repo:5000/hub',
      GILLY_EXCLUDE_REGISTRIES: 'sf-artifactory., quay.io ghcr.io:443',
      GILLY_KEEP_SOURCE: 'true',
    },
    {
      gilly: {
        registry: 'my.internal.repo:5000/hub',
        exclude: ['sf-artifactory.', 'quay.io', 'ghcr.io:443'],
        keepSource: true,
      },
    },
  ],
  [{ GILLY_EXCLUDE_REGISTRIES: 'quay.io', GILLY_KEEP_SOURCE: 'true' }, { gilly: undefined }],
  [{ IMAGESWAP_DISABLE_LABEL: 'example.com/leave' }, { disableLabel: 'example.com/leave' }],
  [{ IMAGESWAP_DISABLE_LABEL: 'leave' }, { disableLabel: 'leave' }],
  [{ REWRITE_NAMESPACES: 'labelled' }, { namespaces: 'labelled' }],
  [{ REWRITE_SKIP_OWNERS: '' }, { skipOwners: [] }],
  [
    { REWRITE_SKIP_OWNERS: 'Cluster.postgresql.cnpg.io, Job  Kafka.kafka.strimzi.io' },
    { skipOwners: ['Cluster.postgresql.cnpg.io', 'Job', 'Kafka.kafka.strimzi.io'] },
  ],
  [{ REWRITE_ANNOTATE: 'false' }, { annotate: false }],
];

for (const [env, expected] of understood) {
  test(`${JSON.stringify(env)} is understood`, (t) => {
    const { settings, faults } = read(env);
    t.deepEqual(faults, []);
    t.deepEqual(settings, withoutUndefined({ ...defaults, ...expected }) as never);
  });
}

const refused: readonly [Variables, string][] = [
  [{ REWRITE_ENGINE: 'cel' }, 'REWRITE_ENGINE: expected one of none, webhook, policy, auto, got "cel"'],
  [{ NAMESPACE: 'Not A Name' }, 'NAMESPACE: expected a namespace name, got "Not A Name"'],
  [{ IMAGESWAP_NAMESPACE: '-' }, 'IMAGESWAP_NAMESPACE: expected a namespace name, got "-"'],
  [{ ADDRESSING_SCHEME: 'magic' }, 'ADDRESSING_SCHEME: expected one of hostess, services, got "magic"'],
  [{ IMAGESWAP_MODE: 'MAP' }, 'IMAGESWAP_MODE: expected MAPS or LEGACY, got "MAP"'],
  [{ IMAGESWAP_MAPS_FILE: 'maps.conf' }, 'IMAGESWAP_MAPS_FILE: expected an absolute path, got "maps.conf"'],
  [
    { IMAGESWAP_MODE: 'LEGACY', IMAGE_PREFIX: 'Not a prefix' },
    'IMAGE_PREFIX: expected the beginning of an image reference, got "Not a prefix"',
  ],
  [
    { GILLY_REGISTRY: 'https://my.internal.repo' },
    'GILLY_REGISTRY: expected a registry as host[:port][/path], got "https://my.internal.repo"',
  ],
  [{ GILLY_KEEP_SOURCE: 'yes' }, 'GILLY_KEEP_SOURCE: expected one of false, true, got "yes"'],
  [{ IMAGESWAP_DISABLE_LABEL: 'a b' }, 'IMAGESWAP_DISABLE_LABEL: expected the key of a label, got "a b"'],
  [{ REWRITE_NAMESPACES: 'some' }, 'REWRITE_NAMESPACES: expected one of all, labelled, got "some"'],
  [
    { REWRITE_SKIP_OWNERS: 'Cluster.postgresql.cnpg.io,deployment,Job.' },
    'REWRITE_SKIP_OWNERS: expected kinds as Kind.group, got "deployment,Job."',
  ],
  [{ REWRITE_ANNOTATE: '1' }, 'REWRITE_ANNOTATE: expected one of true, false, got "1"'],
];

for (const [env, fault] of refused) {
  test(`${JSON.stringify(env)} is a fault`, (t) => {
    t.deepEqual(read(env).faults, [fault]);
  });
}

test('every fault is said at once', (t) => {
  const { IMAGESWAP_MAPS_FILE: _, ...all } = Object.assign({}, ...refused.map(([env]) => env)) as Variables;
  const { faults } = read({ ...all, IMAGESWAP_MODE: 'x' });
  const named = faults.map((fault) => fault.split(':')[0]);
  t.deepEqual(
    [...named].sort(),
    Object.keys(all)
      .filter((name) => name !== 'IMAGE_PREFIX')
      .sort(),
  );
});

test('no environment makes it throw', (t) => {
  const names = fc.constantFrom(...new Set(refused.flatMap(([env]) => Object.keys(env))));
  const values = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('LEGACY', 'services', '/', 'r.io'),
  );
  fc.assert(
    fc.property(fc.dictionary(names, values), (env) => {
      t.notThrows(() => read(env));
    }),
  );
});

function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
