import test from 'ava';
import fc from 'fast-check';
import { readConfigs } from '../../../../src/node/containerd/config.ts';
import { memoryHost } from './memory-host.ts';

const main = '/etc/containerd/config.toml';
const before3 = 'plugins."io.containerd.grpc.v1.cri".registry';
const since3 = 'plugins."io.containerd.cri.v1.images".registry';
const withPath = (table: string, path: string) => `[${table}]\nconfig_path = "${path}"\n`;

function read(files: Parameters<typeof memoryHost>[0], release?: string, startedWith?: string) {
  const { configs, spare, findings, complete } = readConfigs(memoryHost(files), release, startedWith);
  return {
    configs,
    spare: spare.map(({ path }) => path),
    paths: configs.map(({ configPath }) => configPath),
    reasons: findings.map(({ reason }) => reason),
    complete,
  };
}

test('config_path is read from the table of the file’s version', (t) => {
  const both = withPath(before3, '/old') + withPath(since3, '/new');
  t.deepEqual(read({ [main]: `version = 2\n${both}` }).paths, ['/old']);
  t.deepEqual(read({ [main]: `version = 3\n${both}` }, '2.1.0').paths, ['/new']);
  // From 2.3 on 3 is not the newest version, and what is older is migrated.
  t.deepEqual(read({ [main]: `version = 3\n${both}` }, '2.3.0').paths, ['/old']);
  t.like(read({ [main]: `version = 3\n${both}` }), { paths: ['/old'], reasons: ['UncertainConfigPath'] });
  t.deepEqual(read({ [main]: `version = 3\n${withPath(since3, '/new')}` }), {
    ...read({ [main]: `version = 3\n${withPath(since3, '/new')}` }, '2.4.2'),
    reasons: [],
  });
  t.deepEqual(read({ [main]: `version = 4\n${both}` }).paths, ['/new']);
  t.deepEqual(read({ [main]: withPath('plugins.cri.registry', '/one') }).paths, ['/one']);
  t.deepEqual(read({ [main]: withPath(before3, '/old') }, '1.6.20').paths, [undefined]);
  t.deepEqual(read({ [main]: withPath(before3, '/old') }, '2.1.0').paths, ['/old']);
});

test('what is there is told: version, files, mirrors, configs with tls', (t) => {
  const text = `version = 2
[${before3}.mirrors."docker.io"]
endpoint = ["https://m"]
[${before3}.configs."a:5000".tls]
ca_file = "/ca"
[${before3}.configs."b".auth]
username = "u"
`;
  t.deepEqual(read({ [main]: text }).configs, [
    {
      path: main,
      files: [main],
      version: 2,
      mirrors: ['docker.io'],
      configs: ['a:5000', 'b'],
      hasTls: true,
      disabled: false,
    },
  ]);
});

test('imports are followed: relative, absolute, globs, from imported files, in a circle', (t) => {
  const { configs, reasons } = read({
    [main]: 'version = 3\nimports = ["conf.d/*.toml", "/opt/*/c?n[fg].toml"]\n',
    '/etc/containerd/conf.d/.hidden.toml': 'version = 3\n',
    '/etc/containerd/conf.d/a.toml': 'version = 3\nimports = ["../config.toml", "deep/z.toml"]\n',
    '/etc/containerd/conf.d/a.conf': 'not = [toml',
    '/etc/containerd/conf.d/deep/z.toml': `version = 3\n${withPath(since3, '/deep')}`,
    '/opt/x/conf.toml': 'not = [toml',
    '/opt/x/cong.toml': `version = 3\n${withPath(since3, '/opt')}`,
    '/opt/y/conf.txt': 'not = [toml',
  });
  t.deepEqual(reasons, ['UnreadableConfig']);
  t.deepEqual(configs, []);
  const again = read({
    [main]: 'version = 3\nimports = ["conf.d/*.toml", "/opt/*/c?ng.toml"]\n',
    '/etc/containerd/conf.d/.hidden.toml': 'version = 3\n',
    '/etc/containerd/conf.d/a.toml': 'version = 3\nimports = ["../config.toml", "deep/z.toml"]\n',
    '/etc/containerd/conf.d/deep/z.toml': `version = 3\n${withPath(since3, '/deep')}`,
    '/opt/x/cong.toml': `version = 3\n${withPath(since3, '/opt')}`,
  });
  t.deepEqual(again.configs[0]?.files, [
    main,
    '/etc/containerd/conf.d/.hidden.toml',
    '/etc/containerd/conf.d/a.toml',
    '/opt/x/cong.toml',
    '/etc/containerd/conf.d/deep/z.toml',
  ]);
  t.is(again.configs[0]?.configPath, '/deep');
});

test('a later file that does not name config_path takes it away in 1.x, leaves it in releases that merge, and is said where the release is not known', (t) => {
  const files = {
    [main]: `version = 2\nimports = ["/x.toml"]\n${withPath(before3, '/old')}`,
    '/x.toml': 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "pause"\n',
  };
  t.like(read(files, '1.7.27'), { paths: [undefined], reasons: [] });
  t.like(read(files), { paths: ['/old'], reasons: ['UncertainConfigPath'] });
  const unrelated = {
    ...files,
    '/x.toml': 'version = 2\n[plugins."io.containerd.internal.v1.opt"]\npath = "/opt"\n',
  };
  t.like(read(unrelated, '1.7.27'), { paths: ['/old'], reasons: [] });
  t.like(read(unrelated), { paths: ['/old'], reasons: [] });
});

test('1.x expands a relative glob in / and reads every file by the last version stated', (t) => {
  const files = {
    [main]: 'version = 2\nimports = ["conf.d/*.toml"]\n',
    '/etc/containerd/conf.d/a.toml': `version = 2\n${withPath(before3, '/beside')}`,
    '/conf.d/a.toml': `version = 1\n${withPath('plugins.cri.registry', '/root')}`,
  };
  t.like(read(files, '1.7.27'), { paths: ['/root'], reasons: [] });
  t.like(read(files, '2.4.2'), { paths: ['/beside'], reasons: [] });
  t.like(read(files), { paths: ['/beside'], reasons: ['UncertainConfigPath'] });
});

test('a file that one list of imports names twice is read once, at its first place', (t) => {
  const files = {
    [main]: 'version = 2\nimports = ["/d/*.toml", "/d/a.*"]\n',
    '/d/a.toml': `version = 2\n${withPath(before3, '/a')}`,
    '/d/b.toml': `version = 2\n${withPath(before3, '/b')}`,
  };
  t.deepEqual(read(files).paths, ['/b']);
});

test('an empty config_path of a drop-in leaves the one that is set', (t) => {
  const files = {
    [main]: `version = 3\nimports = ["/x.toml"]\n${withPath(since3, '/set')}`,
    '/x.toml': `version = 3\n${withPath(since3, '')}`,
  };
  t.deepEqual(read(files).paths, ['/set']);
  t.deepEqual(read({ [main]: `version = 3\n${withPath(since3, '')}` }).paths, [undefined]);
});

test('k3s, rke2 and k0s are found beside containerd itself', (t) => {
  const { configs } = read({
    [main]: 'version = 2\n',
    '/var/lib/rancher/k3s/agent/etc/containerd/config.toml': `version = 3\nimports = ["/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/*.toml"]\n${withPath(since3, '/var/lib/rancher/k3s/agent/etc/containerd/certs.d')}`,
    '/var/lib/rancher/rke2/agent/etc/containerd/config.toml': `version = 2\n${withPath(before3, '/rke2')}`,
    '/etc/k0s/containerd.toml': 'version = 2\nimports = ["/run/k0s/containerd-cri.toml"]\n',
    '/etc/k0s/containerd.d/registry.toml': withPath(before3, '/k0s'),
  });
  t.deepEqual(
    configs.map(({ configPath }) => configPath),
    [undefined, '/var/lib/rancher/k3s/agent/etc/containerd/certs.d', '/rke2', '/k0s'],
  );
});

test('a containerd without its CRI plugin is told', (t) => {
  t.true(read({ [main]: 'disabled_plugins = ["cri"]\n' }).configs[0]?.disabled);
  const files = {
    [main]: 'version = 2\nimports = ["/x"]',
    '/x': 'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
  };
  t.true(read(files).configs[0]?.disabled);
});

test('a file that is no TOML, a folder and an import that is not there are findings', (t) => {
  t.like(read({ [main]: 'version = [' }), { configs: [], reasons: ['UnreadableConfig'], complete: false });
  t.like(read({ [`${main}/x`]: '' }), { configs: [], reasons: ['UnusablePath'], complete: false });
  t.like(read({ [main]: { kind: 'unusable', why: 'EACCES' } }), {
    reasons: ['UnusablePath'],
    complete: false,
  });
  t.like(read({ [main]: 'imports = ["/gone.toml"]' }), { reasons: ['MissingImport'], complete: true });
  t.like(read({}), { configs: [], reasons: [], complete: true });
});

test('whatever the file holds, it is read without an exception', (t) => {
  const values = fc.constantFrom(
    '1',
    '"x"',
    '[]',
    '[1]',
    '{}',
    '{a = 1}',
    '1979-05-27',
    '9999999999999999999',
    'nan',
    '["*", "[", "/a/*/[b"]',
  );
  const keys = fc.constantFrom(
    'version',
    'imports',
    'plugins',
    'disabled_plugins',
    before3,
    since3,
    `${since3}.config_path`,
    `${since3}.configs.a`,
  );
  const lines = fc.array(
    fc.tuple(keys, values).map(([key, value]) => `${key} = ${value}\n`),
    { maxLength: 5 },
  );
  const texts = fc.oneof(
    lines.map((each) => each.join('')),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.string(),
  );
  fc.assert(
    fc.property(texts, fc.constantFrom(undefined, '1.6.20', '2.4.2', 'nonsense'), (text, release) => {
      readConfigs(memoryHost({ [main]: text }), release);
    }),
    { numRuns: 1000 },
  );
  t.false(readConfigs(memoryHost({ [main]: `a = ${'['.repeat(100_000)}` })).complete);
});

test('of a containerd that runs the file that it was started with counts', (t) => {
  const at = (path: string) => withPath(before3, path);
  const k3s = '/var/lib/rancher/k3s/agent/etc/containerd/config.toml';
  const other = '/opt/containerd.toml';
  const files = { [main]: at('/default'), [k3s]: at('/k3s'), [other]: at('/other') };
  t.like(read(files, '2.1.0'), { paths: ['/default', '/k3s'], spare: [] });
  t.like(read(files, '2.1.0', main), { paths: ['/default'], spare: [k3s] });
  t.like(read(files, '2.1.0', k3s), { paths: ['/k3s'], spare: [main] });
  t.like(read(files, '2.1.0', other), { paths: ['/other'], spare: [main, k3s] });
  t.like(read({ ...files, [main]: 'no = = TOML' }, '2.1.0', k3s), {
    paths: ['/k3s'],
    reasons: [],
    complete: true,
  });
});

test('a file that a containerd was started with and that is not there: nothing can be told; without the default one it starts', (t) => {
  t.like(read({}, '2.2.0', '/gone.toml'), { paths: [], reasons: ['UnreadableConfig'], complete: false });
  t.like(read({ '/gone.toml': '[' }, '2.2.0', '/gone.toml'), {
    reasons: ['UnreadableConfig'],
    complete: false,
  });
  t.like(read({}, '2.2.0', main), { paths: [], reasons: [], complete: true });
});

test('the configuration of a k3s with a data folder of its own is one of k3s', (t) => {
  const path = '/data/agent/etc/containerd/config.toml';
  const [config] = read({ [path]: withPath(before3, '/c') }, '2.1.0', path).configs;
  t.like(config, { path, maker: 'k3s', generated: '/data/agent/etc/containerd/' });
});
