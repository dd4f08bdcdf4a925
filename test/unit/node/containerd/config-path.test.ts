import test from 'ava';
import type { ContainerdConfig } from '../../../../src/node/containerd/config.ts';
import { pathInForce, planColonLink } from '../../../../src/node/containerd/config-path.ts';
import { memoryHost } from './memory-host.ts';

const list = '/etc/containerd/certs.d:/etc/docker/certs.d';
const roots = ['/etc/containerd/certs.d', '/etc/docker/certs.d'] as const;

function decide(changes: Partial<ContainerdConfig>, release?: string) {
  const config = {
    path: '/c',
    files: ['/c'],
    version: 2,
    mirrors: [],
    configs: [],
    hasTls: false,
    disabled: false,
  };
  const { inForce, findings } = pathInForce({ ...config, ...changes }, release);
  return { inForce, reasons: findings.map(({ reason }) => reason) };
}

test('a single folder is in force as it is', (t) => {
  t.deepEqual(decide({ configPath: '/a//b/' }), { inForce: { roots: ['/a/b'] }, reasons: [] });
});

test('a list is searched in its order, and is a trap unless containerd is 1.x', (t) => {
  t.deepEqual(decide({ configPath: list }).inForce, { roots, literal: list });
  t.deepEqual(decide({ configPath: list }, '2.1.0').inForce, { roots, literal: list });
  t.deepEqual(decide({ configPath: list }, '1.7.27').inForce, { roots });
});

test('unset is the default from containerd 2.2 on and a finding in every other', (t) => {
  t.deepEqual(decide({}, '2.4.2'), { inForce: { roots, literal: list }, reasons: [] });
  t.deepEqual(decide({ version: 4 }), { inForce: { roots, literal: list }, reasons: [] });
  t.deepEqual(decide({}, '2.2.0').inForce, { roots, literal: list });
  t.deepEqual(decide({ version: 3 }), {
    inForce: { roots, literal: list },
    reasons: ['UncertainConfigPath'],
  });
  t.deepEqual(decide({}), { inForce: undefined, reasons: ['ConfigPathUnset'] });
  t.deepEqual(decide({}, '1.7.27').reasons, ['ConfigPathUnset']);
  t.deepEqual(decide({ version: 3 }, '2.1.9').reasons, ['ConfigPathUnset']);
  t.deepEqual(pathInForce(undefined, '2.4.2').inForce, { roots, literal: list });
  t.like(pathInForce(undefined).findings, [{ reason: 'ConfigPathUnset', blocks: true }]);
  t.like(pathInForce(undefined, '2.0.5').findings, [{ reason: 'ConfigPathUnset', blocks: true }]);
});

test('registry.mirrors keeps the default away, and what containerd refuses beside config_path is said', (t) => {
  const unset = { inForce: undefined, reasons: ['ConfigPathUnset'] };
  t.deepEqual(decide({ version: 3, mirrors: ['docker.io'] }), unset);
  t.deepEqual(decide({ mirrors: ['docker.io'] }, '2.4.2'), unset);
  t.deepEqual(decide({ configs: ['a'] }, '2.4.2').inForce, { roots, literal: list });
  t.deepEqual(decide({ configPath: '/a', mirrors: ['docker.io'] }).reasons, ['MirrorsBesideConfigPath']);
  t.deepEqual(decide({ configPath: '/a', configs: ['a'] }).reasons, []);
  const withTls = { configPath: '/a', configs: ['a'], hasTls: true };
  t.deepEqual(decide(withTls).reasons, ['MirrorsBesideConfigPath']);
  t.deepEqual(decide(withTls, '1.6.20').reasons, ['MirrorsBesideConfigPath']);
  t.deepEqual(decide(withTls, '2.4.2').reasons, []);
});

test('a relative path is no folder', (t) => {
  for (const configPath of ['certs.d', '/a:b', ':', './x:/y'])
    t.deepEqual(decide({ configPath }), { inForce: undefined, reasons: ['UnusableConfigPath'] });
});

test('the list gets a link to its first folder where nothing is', (t) => {
  const file = `${roots[0]}/docker.io/hosts.toml`;
  const plan = (files: Record<string, string>, literal: string | undefined = list) =>
    planColonLink({ roots, ...(literal && { literal }) }, memoryHost(files), [file]);
  t.deepEqual(plan({}), {
    actions: [{ do: 'link', path: list, target: roots[0], after: [file] }],
    findings: [],
  });
  t.deepEqual(plan({}, ''), { actions: [], findings: [] });
  t.deepEqual(plan({ [file]: 'x', [`${list}/docker.io/hosts.toml`]: 'x' }), { actions: [], findings: [] });
  for (const other of [
    { [list]: '' },
    { [file]: 'x', [`${list}/docker.io/hosts.toml`]: 'y' },
    { [file]: 'x', [`${list}/`]: '' },
  ]) {
    t.like(plan(other as Record<string, string>), {
      actions: [],
      findings: [{ reason: 'ColonTrap', blocks: true }],
    });
  }
});
