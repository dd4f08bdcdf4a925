import test from 'ava';
import { compileMirrors, type RuleMirror } from '../../../../src/image/rules/mirrors.ts';
import { type Rule, settle } from '../../../../src/image/settle.ts';

const hub: RuleMirror = {
  name: 'hub',
  masquerade: 'docker.io',
  address: '10.0.0.1',
  available: true,
};
const alias: RuleMirror = {
  name: 'quay',
  masquerade: 'mirror-quay.io',
  address: '[fd00::1]',
  available: true,
};
const digest = `sha256:${'a'.repeat(64)}`;

const rows: readonly [string, string][] = [
  ['nginx', '10.0.0.1/docker.io/library/nginx'],
  ['docker.io/nginx:1', '10.0.0.1/docker.io/library/nginx:1'],
  ['index.docker.io/org/app', '10.0.0.1/docker.io/org/app'],
  [`org/app:1@${digest}`, `10.0.0.1/docker.io/org/app:1@${digest}`],
  ['mirror-quay.io/a/b', '[fd00::1]/mirror-quay.io/a/b'],
  ['quay.io/a/b', 'quay.io/a/b'],
  ['10.0.0.1/docker.io/library/nginx', '10.0.0.1/docker.io/library/nginx'],
  ['docker.io:443/x', 'docker.io:443/x'],
];

for (const [image, expected] of rows) {
  test(`${image} is asked for as ${expected}`, (t) => {
    t.is(settle([compileMirrors([hub, alias]).stage], image).result, expected);
  });
}

test('pods with pull secrets and mirrors that are away are passed over, and counted', (t) => {
  const rule: Rule = { source: 'mirror', key: 'docker.io', object: 'hub' };
  for (const bypass of ['pullSecrets', 'nodeCritical', 'windows'] as const) {
    const passed = settle([compileMirrors([hub]).stage], 'nginx', { bypass });
    t.like(passed, { result: 'nginx', outcome: 'none' });
    t.deepEqual(passed.passedOver, [{ rule, reason: bypass }]);
  }
  const away = settle([compileMirrors([{ ...hub, available: false }]).stage], 'nginx');
  t.deepEqual(away.passedOver, [{ rule, reason: 'mirrorUnavailable' }]);
});

test('an image that is never pulled is on the node by its own name, or nowhere', (t) => {
  for (const [mirror, image] of [
    [hub, 'nginx'],
    [alias, 'mirror-quay.io/a/b'],
  ] as const) {
    const { result, passedOver } = settle([compileMirrors([mirror]).stage], image, { isNeverPulled: true });
    t.is(result, image);
    t.deepEqual(
      passedOver.map(({ reason }) => reason),
      ['neverPulled'],
    );
  }
});

test('what was made for a mirror that is away now stays', (t) => {
  const { stage } = compileMirrors([{ ...hub, available: false }]);
  t.is(settle([stage], '10.0.0.1/docker.io/library/nginx').outcome, 'already');
});

test('a mirror that can have no rule is named', (t) => {
  const { leftOut } = compileMirrors([
    hub,
    { ...hub, name: 'second' },
    { ...hub, name: 'new', masquerade: 'a.io', address: undefined },
    { ...hub, name: 'port', masquerade: 'a.io:5000' },
    { ...hub, name: 'odd', masquerade: 'b.io', address: 'https://x' },
    { ...hub, name: 'shut', masquerade: 'c.io', obstacle: 'it is shut' },
  ]);
  t.deepEqual(Object.fromEntries(leftOut), {
    second: 'hub has the same masqueradeUrl',
    new: 'it has no address yet',
    port: 'a masqueradeUrl with a port makes an invalid image path',
    odd: 'https://x/b.io is no beginning of an image reference',
    shut: 'it is shut',
  });
});
