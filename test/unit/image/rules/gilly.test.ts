import test from 'ava';
import { type GillySettings, gillyStage, parseExclusions } from '../../../../src/image/rules/gilly.ts';
import { meetingsOf } from '../../../../src/image/rules/meetings.ts';
import { settle } from '../../../../src/image/settle.ts';

const target = 'my.internal.repo';

function rewrite(image: string, settings: Partial<GillySettings> = {}) {
  return settle([gillyStage({ registry: target, exclude: [], keepSource: false, ...settings })], image);
}

const digest = `sha256:${'a'.repeat(64)}`;

/** Image, its name with the source dropped and kept. */
const rows: readonly [string, string, string][] = [
  ['nginx:1.19', 'nginx:1.19', 'docker.io/library/nginx:1.19'],
  ['docker.io/library/nginx:1', 'library/nginx:1', 'docker.io/library/nginx:1'],
  ['org/app', 'org/app', 'docker.io/org/app'],
  ['gcr.io/sgryczan/rocket:latest', 'sgryczan/rocket:latest', 'gcr.io/sgryczan/rocket:latest'],
  [`gcr.io/a/b:t@${digest}`, `a/b:t@${digest}`, `gcr.io/a/b:t@${digest}`],
  ['host.example:5000/x', 'x', 'host.example_5000/x'],
  ['localhost:5000/x:1', 'x:1', 'localhost_5000/x:1'],
  ['localhost/x:1', 'x:1', 'localhost/x:1'],
  ['GHCR.IO/a', 'a', 'ghcr.io/a'],
];

for (const [image, dropped, kept] of rows) {
  test(`${image} is asked of the target`, (t) => {
    t.is(rewrite(image).result, `${target}/${dropped}`);
    t.is(rewrite(image, { keepSource: true }).result, `${target}/${kept}`);
  });
}

test('what is at the target stays, also below a path', (t) => {
  t.is(rewrite(`${target}/a/b:1`).outcome, 'already');
  t.is(rewrite('r.io/gilly/a', { registry: 'r.io/gilly/' }).outcome, 'already');
  t.is(rewrite('r.io/a', { registry: 'r.io/gilly/' }).result, 'r.io/gilly/a');
});

test('a source that cannot stand in a path leaves the image, with a warning', (t) => {
  t.like(rewrite('[fd00::1]:5000/x', { keepSource: true }), {
    result: '[fd00::1]:5000/x',
    outcome: 'invalid',
  });
});

const exclusions: readonly [string, string, boolean][] = [
  ['quay.io', 'quay.io/x', true],
  ['quay.io', 'quay.io:443/x', true],
  ['quay.io:443', 'quay.io/x', false],
  ['quay.io', 'my-quay.io/x', false],
  ['docker.io', 'nginx', true],
  ['docker.io', 'index.docker.io/x/y', true],
  ['index.docker.io', 'nginx', true],
  ['registry-1.docker.io', 'index.docker.io/x/y', true],
  ['.docker.io', 'docker.io/x/y', true],
  ['*.docker.io', 'index.docker.io/x/y', true],
  ['quay.io', 'nginx', false],
  ['[ab]*.io', 'a.io/x', true],
  ['[ab]*.io', 'c.io/x', false],
  ['.corp.example', 'a.corp.example:5000/x', true],
  ['.corp.example', 'corp.example/x', false],
  ['sf-artifactory.', 'my-sf-artifactory.x/p', true],
  ['sf-artifactory.', 'sf-artifactory/p:1', false],
  ['*.example:50*', 'a.example:5000/x', true],
  ['[fd00::1]', '[fd00::1]:5000/x', true],
];

for (const [entry, image, excluded] of exclusions) {
  test(`${entry} ${excluded ? 'excludes' : 'does not exclude'} ${image}`, (t) => {
    t.deepEqual(
      rewrite(image, { exclude: [entry] }).passedOver.map(({ reason }) => reason),
      excluded ? ['excluded'] : [],
    );
  });
}

test('exclusions are read with commas and spaces', (t) => {
  t.deepEqual(parseExclusions(' quay.io,, .corp\tsf. '), ['quay.io', '.corp', 'sf.']);
  t.deepEqual(parseExclusions(''), []);
});

test('sources that meet in one name are told', (t) => {
  const seen = ['gcr.io/a/b:1', 'quay.io/a/b:2', 'a/b', 'nginx', 'docker.io/nginx', `${target}/a/b`, 'No'];
  t.deepEqual(meetingsOf(seen.map((image) => rewrite(image))), [
    { name: `${target}/a/b`, sources: ['docker.io/a/b', 'gcr.io/a/b', 'quay.io/a/b'] },
  ]);
  t.deepEqual(meetingsOf(seen.map((image) => rewrite(image, { keepSource: true }))), []);
});
