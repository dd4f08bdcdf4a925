import test from 'ava';
import { compileRules, type RuleSources, sourceNames } from '../../../../../src/image/rules/table.ts';
import { compileRuleSet } from '../../../../../src/operator/rewriting/policy/compile.ts';

function compiled(sources: RuleSources, namespace = 'team') {
  return compileRuleSet(compileRules(sources), { namespace, sources: sourceNames });
}

function rulesOf(sources: RuleSources, namespace = 'team') {
  const found = compiled(sources, namespace);
  if ('unfit' in found) throw new Error(found.unfit.message);
  return found.rules;
}

function unfitOf(sources: RuleSources): string {
  const found = compiled(sources);
  return 'unfit' in found ? `${found.unfit.reason}: ${found.unfit.message}` : 'none';
}

const map = (...lines: string[]): RuleSources => ({ imageswap: { map: ['default::', ...lines].join('\n') } });
const imageMap = (lines: Record<string, string>, name = 'boot', namespace = 'team') => ({
  namespace,
  name,
  creationTimestamp: '2026-01-01T00:00:00Z',
  map: Object.entries(lines).map(([from, to]) => ({ from, to })),
});
const gilly = { registry: 'my.repo', exclude: [], keepSource: false };
const mirror = { name: 'hub', masquerade: 'docker.io', address: '10.0.0.1', available: true };

test('whole images are looked up with what becomes of them in the end', (t) => {
  const { images } = rulesOf({
    imageMaps: [imageMap({ 'b.io/x': 'c.io/x', self: 'self', bad: 'No/Reference' })],
    ...map('[EXACT]a::b.io/x', '[EXACT]z::y', '[EXACT]y::w'),
  });
  t.deepEqual({ ...images }, { a: 'c.io/x', z: 'y', y: '', 'b.io/x': 'c.io/x', self: '', bad: '' });
});

test('what a rule makes is said to stay only where a later rule would take it on', (t) => {
  const imageMaps = [imageMap({ a: 'my.repo/a', b: 'b.io/b' })];
  t.deepEqual({ ...rulesOf({ imageMaps }).images }, { a: 'my.repo/a', b: 'b.io/b' });
  t.deepEqual({ ...rulesOf({ imageMaps, gilly }).images }, { a: 'my.repo/a', b: 'b.io/b', 'b.io/b': '' });
});

test('rejected ImageMaps, and those of other namespaces, are not there', (t) => {
  const imageMaps = [
    imageMap({ a: 'x/a' }, 'a'),
    imageMap({ a: 'y/a', b: 'y/b' }, 'b'),
    imageMap({ c: 'x/c' }, 'a', 'other'),
  ];
  t.deepEqual({ ...rulesOf({ imageMaps }).images }, { a: 'x/a' });
  t.deepEqual({ ...rulesOf({ imageMaps }, 'other').images }, { c: 'x/c' });
});

test('sources that do not count leave nothing', (t) => {
  const table = compileRules({ ...map('a.io::b.io'), gilly });
  const found = compileRuleSet(table, { sources: ['gilly'] });
  t.is(found.count, 1);
  t.deepEqual('rules' in found && found.rules.registries, {});
});

test('a default decides everything: mirrors and gilly are left out', (t) => {
  const rules = rulesOf({ imageswap: { map: 'default::d.local' }, mirrors: [mirror], gilly });
  t.deepEqual(
    [rules.mirrors, rules.gilly, rules.default],
    [{}, { form: 'none', to: '' }, { form: 'path', to: 'd.local' }],
  );
});

test('Docker Hub’s mirror is there under each of its names, unless one has a mirror of its own', (t) => {
  const other = { ...mirror, name: 'index', masquerade: 'index.docker.io', available: false };
  const to = { form: 'repository', to: '10.0.0.1/docker.io' };
  t.deepEqual(rulesOf({ mirrors: [mirror, other] }).mirrors, { 'docker.io': to, 'registry-1.docker.io': to });
});

test('only images that some rule may be for are looked at', (t) => {
  const byRegistry = rulesOf(map('quay.io::q.local', 'gcr.io:443::g.local', 'left.io::'));
  t.deepEqual(byRegistry.concerns, {
    everything: false,
    left: [],
    dockerHub: false,
    hosts: { 'quay.io': true, 'gcr.io': true },
  });
  const hub = rulesOf(map('docker.io/library::h.local/library'));
  t.deepEqual(hub.concerns, { everything: false, left: [], dockerHub: true, hosts: { 'docker.io': true } });
  t.deepEqual(rulesOf({ gilly }).concerns, {
    everything: true,
    left: ['my.repo/'],
    dockerHub: false,
    hosts: {},
  });
});

const chains: readonly [string, RuleSources, string][] = [
  [
    'a line for what a line makes',
    map('a.io::b.io', 'b.io::c.io'),
    'the line for b.io takes on what the line for a.io makes',
  ],
  [
    'the same with a port',
    map('a.io::b.io', 'b.io:1::c.io'),
    'the line for b.io:1 takes on what the line for a.io makes',
  ],
  [
    'a line for what gilly makes',
    { ...map('my.repo::c.io'), gilly },
    'the line for my.repo takes on what gilly makes',
  ],
  [
    'a mirror of what gilly makes',
    { gilly, mirrors: [{ ...mirror, masquerade: 'my.repo' }] },
    'the mirror of my.repo takes on what gilly makes',
  ],
  [
    'a pattern for what a line makes',
    map('a.io::b.io', '[REPLACE]*/x::c.io'),
    'line 3: the pattern */x may match what the line for a.io makes',
  ],
];

for (const [what, sources, why] of chains) {
  test(`${what} is a chain`, (t) => {
    t.is(unfitOf(sources), `ChainOfRules: ${why}`);
  });
}

const noChains: readonly [string, RuleSources][] = [
  ['a line that leaves what another makes', map('a.io::b.io', 'b.io::')],
  ['a line to itself', map('a.io::b.io', 'b.io::b.io')],
  ['a target with a path in a registry that has a line', map('a.io::b.io/p', 'b.io::c.io')],
  ['the same on Docker Hub', map('a.io::harbor', 'docker.io::c.io')],
  ['the same of a glued default', { imageswap: { map: 'default::b.io/p-\nb.io::c.io' } }],
  [
    'a mirror of its own target that is away',
    { gilly, mirrors: [{ ...mirror, masquerade: 'my.repo', available: false }] },
  ],
  ['a pattern that leaves what it matches', map('a.io::b.io', '[REPLACE]*/x::')],
  ['a pattern for other registries', map('a.io::b.io', '[REPLACE]q.io/*::c.io')],
  ['an image that a line makes', { ...map('a.io::b.io'), imageMaps: [imageMap({ 'b.io/x': 'c.io/x' })] }],
];

for (const [what, sources] of noChains) {
  test(`${what} is no chain`, (t) => {
    t.is(unfitOf(sources), 'none');
  });
}

test('a value that makes references of images without a port only has no words in CEL', (t) => {
  t.regex(unfitOf(map('a.io::a_b')), /^NotExpressible: line 2: a_b /);
});

test('LEGACY is a rule for whole texts, and comes before mirrors and gilly', (t) => {
  const { legacy, byName, gilly: after } = rulesOf({ imageswap: { legacyPrefix: 'reg.local/p/' }, gilly });
  t.deepEqual([legacy, byName, after.form], [{ form: 'path', to: 'reg.local/p' }, false, 'none']);
  t.deepEqual(rulesOf({ imageswap: { legacyPrefix: 'x-' } }).legacy, { form: 'glue', to: 'x-' });
  t.deepEqual(rulesOf({ imageswap: { legacyPrefix: 'https://x' }, gilly }).gilly.form, 'path');
});
