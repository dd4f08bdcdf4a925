import test from 'ava';
import fc from 'fast-check';
import {
  formatReference,
  type ImageReference,
  isImageReference,
  isReferencePrefix,
  isRegistryHost,
  parseReference,
  splitPort,
  wholeName,
} from '../../../src/image/reference.ts';
import { nearReferences, references } from '../../support/reference-arbitraries.ts';

const digest = `sha256:${'a'.repeat(64)}`;

const rows: readonly [string, Partial<ImageReference>][] = [
  ['nginx', { path: 'nginx' }],
  ['nginx:1.19', { path: 'nginx', tag: '1.19' }],
  ['org/app', { path: 'org/app' }],
  ['gcr.io/a/b:t', { registry: 'gcr.io', path: 'a/b', tag: 't' }],
  [`gcr.io/a/b:t@${digest}`, { registry: 'gcr.io', path: 'a/b', tag: 't', digest }],
  [`nginx@${digest}`, { path: 'nginx', digest }],
  ['localhost/x', { registry: 'localhost', path: 'x' }],
  ['localhost:5000/x:1', { registry: 'localhost:5000', path: 'x', tag: '1' }],
  ['registry:5000/x', { registry: 'registry:5000', path: 'x' }],
  ['Foo/bar', { registry: 'Foo', path: 'bar' }],
  ['[fd00::1]:5000/x', { registry: '[fd00::1]:5000', path: 'x' }],
  ['host:5000', { path: 'host', tag: '5000' }],
  ['a__b/c---d/e.f', { path: 'a__b/c---d/e.f' }],
  // No host by the grammar, and a registry by the domain rule.
  ['my_host.io/x:1', { registry: 'my_host.io', path: 'x', tag: '1' }],
];

for (const [text, parts] of rows) {
  test(`${text} is taken apart`, (t) => {
    const none = { registry: undefined, path: '', tag: undefined, digest: undefined };
    t.deepEqual(parseReference(text), { ...none, ...parts });
  });
}

test('what is no image reference is told apart', (t) => {
  const long = 'a'.repeat(128);
  for (const value of [
    ...[
      '',
      'A',
      'a/B',
      'a b',
      'a:',
      'a@sha256:12',
      'a//b',
      '/a',
      'a/',
      'a:b:c/d e',
      'a\n',
      'a:b@',
      'a___b',
      'a-',
    ],
    ...[
      'a_b.c:5000/x',
      'a_.c/x',
      'a..b/x',
      '-a.b/x',
      'a.b:/x',
      'a.b:p/x',
      '[::1/x',
      'a/[::1]/x',
      `a@sha256:${'A'.repeat(64)}`,
    ],
    // Algorithms that no runtime knows; the first name is also one of every JavaScript object's own.
    ...[`x@constructor:${'f'.repeat(32)}`, `x@md5:${'f'.repeat(32)}`, `x@sha25:${'a'.repeat(64)}`],
    ...[`a:${long}x`, `a@sha256:${'a'.repeat(63)}`, 'a'.repeat(64).replace(/./g, 'f'), `${long}/${long}`],
  ])
    t.false(isImageReference(value), value);
});

test('registry and path have 255 characters at most, with what Docker Hub’s names leave out', (t) => {
  t.true(isImageReference(`a.b/${'x'.repeat(251)}`));
  t.false(isImageReference(`a.b/${'x'.repeat(252)}`));
  t.true(isImageReference(`${'x'.repeat(237)}:tag`));
  t.false(isImageReference(`${'x'.repeat(238)}:tag`));
});

test('each of Docker Hub’s names and none mean the same repository', (t) => {
  for (const image of [
    'nginx',
    'library/nginx',
    'docker.io/nginx',
    'index.docker.io/library/nginx',
    'registry-1.docker.io/nginx',
  ])
    t.is(wholeName(parseReference(image)!), 'docker.io/library/nginx');
  t.is(wholeName(parseReference('quay.io/nginx')!), 'quay.io/nginx');
});

test('hosts and ports are told apart', (t) => {
  t.deepEqual(splitPort('a.b'), { host: 'a.b', port: undefined });
  t.deepEqual(splitPort('a:1'), { host: 'a', port: '1' });
  t.deepEqual(splitPort('[::1]'), { host: '[::1]', port: undefined });
  t.deepEqual(splitPort('[::1]:1'), { host: '[::1]', port: '1' });
});

test('registries and prefixes are told from what they are not', (t) => {
  for (const value of ['a', 'a.b:5000', '[::1]:1']) t.true(isRegistryHost(value), value);
  for (const value of ['', 'a/b', 'a_b', 'a.b:', 'https://a']) t.false(isRegistryHost(value), value);
  for (const value of ['a', 'a.b:1/c', '[::1]']) t.true(isReferencePrefix(value), value);
  for (const value of ['', 'a/', 'a.b/c:1', 'https://a', 'a/m-']) t.false(isReferencePrefix(value), value);
});

test('every reference comes back from its text', (t) => {
  fc.assert(
    fc.property(references, (reference) =>
      t.deepEqual(parseReference(formatReference(reference)), reference),
    ),
  );
});

test('every text that is a reference is given back to the letter', (t) => {
  fc.assert(
    fc.property(fc.oneof(nearReferences, fc.string()), (text) => {
      const reference = parseReference(text);
      if (reference !== undefined) t.is(formatReference(reference), text);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

/** The distribution project's own expression, which every reference of ours must match. */
const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const domain = `(?:${label}(?:\\.${label})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`;
const component = '[a-z0-9]+(?:(?:[.]|_|__|[-]+)[a-z0-9]+)*';
const grammar = new RegExp(
  `^(?:${domain}/)?${component}(?:/${component})*(?::[\\w][\\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$`,
);

test('every text that is a reference is one by the distribution project’s expression', (t) => {
  fc.assert(
    fc.property(fc.oneof(nearReferences, references.map(formatReference)), (text) => {
      if (isImageReference(text)) t.regex(text, grammar);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
