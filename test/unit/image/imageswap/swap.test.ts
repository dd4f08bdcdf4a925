import test from 'ava';
import fc from 'fast-check';
import { legacyStage } from '../../../../src/image/imageswap/legacy.ts';
import { parseMap } from '../../../../src/image/imageswap/parse-map.ts';
import { imageswapStages } from '../../../../src/image/imageswap/stages.ts';
import { formatReference, isImageReference } from '../../../../src/image/reference.ts';
import { type Rewrite, settle } from '../../../../src/image/settle.ts';
import { originalSwap } from '../../../support/original-imageswap.ts';
import { processorTime } from '../../../support/processor-time.ts';
import { nearReferences, references } from '../../../support/reference-arbitraries.ts';

function swap(map: string, image: string): Rewrite {
  return settle(imageswapStages(parseMap(map).entries), image);
}

const digest = `sha256:${'a'.repeat(64)}`;

/** Map, image, result; an empty result stands for: unchanged. */
const rows: readonly [string, string, string][] = [
  ['default::m.local', 'localhost:5000/x:1', 'm.local/x:1'],
  ['default::m.local', 'foo/docker.io:1', 'm.local/foo/docker.io:1'],
  ['default::m.local', 'gcr.io:443/a/b:t', 'm.local/a/b:t'],
  ['default::m.local', 'Foo/bar', 'm.local/bar'],
  ['default::m.local', '[fd00::1]:5000/x', 'm.local/x'],
  ['default::m.local/', 'nginx', 'm.local/nginx'],
  ['default::m.local', `a/b:1@${digest}`, `m.local/a/b:1@${digest}`],
  ['default::m.local/p', 'm.local/other/x', 'm.local/p/other/x'],
  ['default::m.local/p', 'm.local/p/x', ''],
  ['default::m.local/m-', 'host.example:5000/x:1', 'm.local/m-host.example/x:1'],
  ['default::m.local/m-', 'GHCR.IO/x', ''],
  ['default::\ngcr.io::g.local/gcr', 'gcr.io:443/a/b', 'g.local/gcr/a/b'],
  ['default::\ngcr.io::g.local', 'gcr.io:443/a/b', 'g.local:443/a/b'],
  ['default::d.local\ngcr.io::g.local', 'g.local:443/a/b', ''],
  ['default::d.local\ngcr.io::g.local', 'g.local/a/b', ''],
  ['default::\ngcr.io::g.local:5000', 'gcr.io:443/a/b', 'g.local:5000/a/b'],
  ['default::\nlocalhost:5000::lo.local', 'localhost:5000/x', 'lo.local/x'],
  ['default::d.local\ndocker.io/library::h.local/m-', 'nginx', 'h.local/m-docker.io/nginx'],
  ['default::d.local\ngcr.io/library::h.local', 'gcr.io/a', 'd.local/a'],
  ['default::d.local\n[EXACT]nginx::', 'nginx', 'd.local/nginx'],
  ['default::d.local\n[EXACT]nginx:1.25', 'nginx', 'd.local/nginx'],
  ['default::d.local\n[EXACT]nginx::nginx', 'nginx', ''],
  ['default::d.local\n[EXACT]a::r.local/b', 'r.local/b', ''],
  ['default::d.local\n[EXACT]a::b\n[EXACT]b::c', 'a', 'b'],
  ['default::d.local\n[REPLACE]auto*::', 'auto', ''],
  ['default::d.local\n[REPLACE]quay.io/*::', 'quay.io/a/b', ''],
  ['default::d.local\n[REPLACE]quay.io/*::q.local/p/', 'q.local/p/b', ''],
  ['default::\n[REPLACE]nginx::n.local/m-', 'nginx', ''],
  ['default::d.local\na.io::b.local # c # d', 'a.io/x', 'd.local/x'],
  ['default::d.local\n\tf.io::g.local', 'f.io/x', 'd.local/x'],
  ['docker.io::x.local', 'nginx', ''],
  // A line for the very registry another one moves to takes its images on; lines for less do not.
  [
    'default::d.local\nk8s.gcr.io::registry.k8s.io\nregistry.k8s.io::h.local/k',
    'k8s.gcr.io/p',
    'h.local/k/p',
  ],
  [
    'default::d.local\nk8s.gcr.io::registry.k8s.io\nregistry.k8s.io::h.local/k',
    'registry.k8s.io/p',
    'h.local/k/p',
  ],
  ['default::\ndocker.io::h.local/hub\nh.local::h.local/own', 'nginx', 'h.local/hub/nginx'],
  ['default::\ndocker.io::h.local/hub\nh.local::h.local/own', 'h.local/x', 'h.local/own/x'],
  ['default::\na.io::b.io\nb.io::a.io', 'a.io/x', ''],
  ['default::\na.io::b.io/p\nb.io::a.io/q', 'a.io/x', 'b.io/p/x'],
  // Another port is another registry, unless a line keeps the ports of what it replaces.
  ['default::m.local', 'm.local:5000/x', 'm.local/x'],
  ['default::localhost', 'localhost:5000/x', 'localhost/x'],
  ['default::d.local\nh.example:5000::h.local', 'h.local:443/x', 'd.local/x'],
  ['default::d.local\ndocker.io/library::h.local', 'h.local:443/x', 'd.local/x'],
  // A target with a path is more than the line for its registry.
  ['default::m.local/m-\nm.local::m.local/m-', 'm.io/org/app', 'm.local/m-m.io/org/app'],
  ['default::m.local/p-\nm.local::z.local', 'quay.io/a/b', 'm.local/p-quay.io/a/b'],
  ['default::team\ndocker.io::x.local', 'quay.io/a/b', 'team/a/b'],
  ['default::team\ndocker.io::x.local', 'org/app', 'x.local/org/app'],
  // A default that is wrong costs no other line.
  ['default::d.local # c # d\ngcr.io::g.local', 'gcr.io/a/b', 'g.local/a/b'],
  ['default::\td.local\ngcr.io::g.local', 'gcr.io/a/b', 'g.local/a/b'],
  ['default::\td.local\ngcr.io::g.local', 'nginx', ''],
  ['default::d.local\ndefault::a::b', 'nginx', 'd.local/nginx'],
  ['default::a::b\ndefault::d.local', 'nginx', 'd.local/nginx'],
  ['default::m.local', 'my_host.io/x', 'm.local/x'],
  ['default::\nmy_host.io::m.local', 'my_host.io/x', 'm.local/x'],
  ['default::m.local', `nginx@md5:${'a'.repeat(64)}`, ''],
];

for (const [map, image, expected] of rows) {
  test(`${image} with ${JSON.stringify(map)} becomes ${expected || 'nothing else'}`, (t) => {
    t.is(swap(map, image).result, expected || image);
  });
}

test('the result says which line spoke, and why an image stays', (t) => {
  const said = (map: string, image: string) => {
    const { outcome, rule } = swap(map, image);
    return [outcome, rule?.line];
  };
  t.deepEqual(said('default::\n\nquay.io::q.local', 'quay.io/x'), ['rewritten', 3]);
  t.deepEqual(said('default::\nquay.io::', 'quay.io/x'), ['decided', 2]);
  t.deepEqual(said('default::d\nnoswap_wildcards::q', 'quay.io/x'), ['decided', 2]);
  t.deepEqual(said('default::d.local', 'd.local/x'), ['already', 1]);
  t.deepEqual(said('default::', 'x'), ['none', undefined]);
  t.deepEqual(said('default::d.local', 'NO'), ['notReference', undefined]);
  t.deepEqual(said('default::\na.io::b.io\nb.io::a.io', 'a.io/x'), ['circle', 2]);
});

test('what would be no reference leaves the image, with a warning', (t) => {
  const { outcome, warning } = swap('default::\nm.io:5000::1.2.3.4/m.io:5000', 'm.io:5000/app:1');
  t.is(outcome, 'invalid');
  t.is(
    warning,
    'm.io:5000/app:1 stays: imageswap:2 m.io:5000 would make it "1.2.3.4/m.io:5000/app:1", which is no image reference',
  );
});

test('a text that is too long for an image costs no time', (t) => {
  const map = `default::d.local\n[REPLACE]${'*a'.repeat(100)}b::x.local`;
  const ms = processorTime(() => t.is(swap(map, 'a'.repeat(1_000_000)).outcome, 'notReference'));
  t.true(ms < 1_000, `${ms} ms`);
});

const hosts = fc.constantFrom('docker.io', 'a.io', 'b.io:5000', 'c.io', 'localhost', 'C.io', 'x', '[::1]:1');
const values = fc
  .tuple(
    fc.oneof(hosts, fc.constant('')),
    fc.constantFrom('', '/p', '/p/q/', ':5000', '-', '/m-', '/library'),
  )
  .map((pieces) => pieces.join(''));
const keys = fc.oneof(
  hosts,
  fc.constantFrom('default', 'noswap_wildcards', 'docker.io/library', 'a.io/library'),
);
const images = fc.oneof(
  fc
    .tuple(hosts, fc.constantFrom('x', 'p/x', 'm-a.io/x', 'library/y:1', `p/q/z@${digest}`))
    .map((p) => p.join('/')),
  fc.constantFrom('x', 'nginx:1', 'p/x', 'x/y'),
  references.map(formatReference),
  nearReferences,
);
const lines = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(keys, values).map(([key, value]) => `${key}::${value}`) },
  fc.tuple(images, images).map(([from, to]) => `[EXACT]${from}::${to}`),
  fc
    .tuple(fc.constantFrom('*', 'a.io/*', '*/x', '?*', 'x', '[!a]*'), values)
    .map((p) => `[REPLACE]${p.join('::')}`),
  fc.tuple(keys, values).map((p) => p.join(':')),
  fc.string(),
);
const maps = fc.array(lines, { maxLength: 10 }).map((all) => all.join('\n'));

test('no map and no image make anything but image references, and what was made stays', (t) => {
  fc.assert(
    fc.property(maps, fc.array(images, { minLength: 5, maxLength: 5 }), (map, several) => {
      const stages = imageswapStages(parseMap(map).entries);
      for (const image of several) {
        const { result } = settle(stages, image);
        t.true(result === image || isImageReference(result), result);
        t.is(settle(stages, result).result, result);
      }
    }),
    { numRuns: 1500 },
  );
});

const plainMaps = fc
  .uniqueArray(
    fc.tuple(
      fc.constantFrom(
        'default',
        'docker.io',
        'docker.io/library',
        'gcr.io',
        'host.example:5000',
        'noswap_wildcards',
      ),
      fc.constantFrom('', 'm.local', 'm.local/p', 'n.local:5000/q', 'n.local/g-'),
    ),
    { selector: ([key]) => key },
  )
  .map(
    (pairs) =>
      new Map(pairs.map(([key, value]) => [key, key === 'noswap_wildcards' && value ? 'quay' : value])),
  );
const plainImages = fc
  .tuple(
    fc.constantFrom(
      '',
      'docker.io/',
      'gcr.io/',
      'gcr.io:443/',
      'host.example:5000/',
      'quay.io/',
      'index.docker.io/',
    ),
    fc.constantFrom('app', 'org/app', 'a/b/c'),
    fc.constantFrom('', ':1', `@${digest}`),
  )
  .map((pieces) => pieces.join(''));

test('what imageswap answered well is answered the same', (t) => {
  let same = 0;
  fc.assert(
    fc.property(plainMaps, plainImages, (map, image) => {
      const original = originalSwap(map, image);
      const { result } = swap([...map].map((pair) => pair.join('::')).join('\n'), image);
      if (!isImageReference(original) || hasLostPath(image, original) || hasRegistryTwice(image, original))
        return;
      t.is(result, original);
      same += 1;
    }),
    { numRuns: 3000 },
  );
  t.true(same > 2000, `${same}`);
});

function hasLostPath(image: string, result: string): boolean {
  return !result.includes(image.replace(/^[^/]*\.[^/]*\//, ''));
}

function hasRegistryTwice(image: string, result: string): boolean {
  const [registry = ''] = image.split('/');
  return (
    registry.includes('.') &&
    result.split('/').filter((part) => part === registry).length > 0 &&
    result !== image
  );
}

const prefixes = fc.oneof(values, fc.constantFrom('jmsearcy', 'jmsearcy-', 'reg.local/p', 'reg.local/'));

test('LEGACY makes nothing but image references, and what was made stays', (t) => {
  fc.assert(
    fc.property(prefixes, images, (prefix, image) => {
      const { result } = settle([legacyStage(prefix)], image);
      t.true(result === image || isImageReference(result), result);
      t.is(settle([legacyStage(prefix)], result).result, result);
    }),
    { numRuns: 1500 },
  );
});

test('LEGACY glues a host without its port where the port would be in the middle', (t) => {
  const legacy = (prefix: string, image: string) => settle([legacyStage(prefix)], image).result;
  t.is(legacy('reg.local/p-', 'localhost:5000/a/x:1'), 'reg.local/p-localhost/a/x:1');
  t.is(legacy('reg.local/p-', 'nginx:1'), 'reg.local/p-nginx:1');
  t.is(legacy('reg.local/p', 'x/reg.local/p/y'), 'x/reg.local/p/y');
  t.is(legacy('reg.local/', 'a/x'), 'reg.local/x');
  t.is(legacy('', 'x'), 'x');
});
