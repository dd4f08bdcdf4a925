import test from 'ava';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { readConfigs } from '../../../../src/node/containerd/config.ts';
import { certificatesFolder } from '../../../../src/node/containerd/config-text.ts';
import {
  type ContainerdConfigInput,
  planContainerdConfig,
  planContainerdConfigRemoval,
} from '../../../../src/node/containerd/configure.ts';
import { type FileRecord, originalOf } from '../../../../src/node/journal.ts';
import { memoryHost } from './memory-host.ts';

const main = '/etc/containerd/config.toml';
const grpc = 'plugins."io.containerd.grpc.v1.cri"';
const images = 'plugins."io.containerd.cri.v1.images"';
const line = `config_path = "${certificatesFolder}" # registry-mirror-operator\n`;

/** A node of configuration files and the record, on which plans are carried out as the applier does it. */
class Node {
  readonly files: Record<string, string | Buffer>;
  record: FileRecord | undefined;

  constructor(files: string | Record<string, string | Buffer>) {
    this.files = typeof files === 'string' ? { [main]: files } : { ...files };
  }

  get text(): string | undefined {
    return this.files[main]?.toString();
  }

  get path(): string | undefined {
    return readConfigs(memoryHost(this.files), '1.7.27').configs[0]?.configPath;
  }

  wire(changes: Partial<ContainerdConfigInput> = {}): string[] {
    const host = memoryHost(this.files);
    const input = { mirror: 'hub', found: true, release: '1.7.27', record: this.record, ...host, ...changes };
    return this.#apply(planContainerdConfig(input));
  }

  remove(...mirrors: string[]): string[] {
    const leaves = (mirror: string) => mirrors.length === 0 || mirrors.includes(mirror);
    const { record } = this;
    return this.#apply(planContainerdConfigRemoval({ leaves, record, read: memoryHost(this.files).read }));
  }

  #apply({ actions, findings }: ReturnType<typeof planContainerdConfig>): string[] {
    for (const action of actions) {
      if (action.path !== main) throw new Error(`Unexpected ${action.path}`);
      if (action.do === 'write') {
        const original = this.record?.original ?? originalOf(memoryHost(this.files).read(main));
        this.record = { ...action.record, path: main, original };
        this.files[main] = action.content;
      }
      if (action.do === 'note') this.record = { ...this.record!, mirrors: action.mirrors };
      if (action.do === 'delete') delete this.files[main];
      if (action.do === 'forget') this.record = undefined;
    }
    return [...actions.map((action) => action.do), ...findings.map((finding) => finding.reason)];
  }
}

test('the key is the first line of its table, in the file’s own style, and goes without a trace', (t) => {
  const head = 'version = 2\n\n# ours\n';
  for (const [before, after] of [
    [`${head}[${grpc}.registry]\n`, `${head}[${grpc}.registry]\n  ${line}`],
    [`${head}[${grpc}.registry]`, `${head}[${grpc}.registry]\n  ${line}`],
    [
      `${head}  [ plugins . 'io.containerd.grpc.v1.cri' . registry ] # here\r\n    headers = {}\r\n`,
      `${head}  [ plugins . 'io.containerd.grpc.v1.cri' . registry ] # here\r\n    ${line.replace('\n', '\r\n')}    headers = {}\r\n`,
    ],
    [
      `${head}[${grpc}.registry]\n  [${grpc}.registry.mirrors]\n[x]\n`,
      `${head}[${grpc}.registry]\n  ${line}  [${grpc}.registry.mirrors]\n[x]\n`,
    ],
  ] as const) {
    const node = new Node(before);
    t.deepEqual(node.wire(), ['write']);
    t.is(node.text, after);
    t.is(node.path, certificatesFolder);
    t.deepEqual(node.wire(), []);
    t.deepEqual(node.remove(), ['write', 'forget']);
    t.is(node.text, before);
  }
});

test('a table that is not there goes to the end', (t) => {
  for (const [before, after] of [
    ['version = 2\n', `version = 2\n[${grpc}.registry]\n  ${line}`],
    ['version = 2', `version = 2\n[${grpc}.registry]\n  ${line}`],
    [
      `version = 2\r\n[${grpc}]\r\nsandbox_image = "pause"`,
      `version = 2\r\n[${grpc}]\r\nsandbox_image = "pause"\r\n[${grpc}.registry]\r\n  ${line.replace('\n', '\r\n')}`,
    ],
  ] as const) {
    const node = new Node(before);
    t.deepEqual(node.wire(), ['write']);
    t.is(node.text, after);
    t.is(node.path, certificatesFolder);
    node.remove();
    t.is(node.text, before);
  }
});

test('an empty config_path gets the value and its emptiness back', (t) => {
  for (const empty of ['""', "''"]) {
    const before = `version = 2\n[${grpc}.registry]\n  a = 1\n  "config_path" = ${empty} # default\n`;
    const node = new Node(before);
    t.deepEqual(node.wire(), ['write']);
    t.is(node.text, before.replace(empty, `"${certificatesFolder}"`));
    node.files[main] = `# mine\n${node.text}`;
    node.remove();
    t.is(node.text, `# mine\n${before.replace(empty, '""')}`);
  }
});

test('the table is that of the file’s version', (t) => {
  const table = (version: string, release: string) => {
    const node = new Node(`${version}\n`);
    return [...node.wire({ release }), node.text?.split('\n')[1]];
  };
  t.deepEqual(table('version = 2', '1.6.20'), ['write', `[${grpc}.registry]`]);
  t.deepEqual(table('version = 2', '2.1.9'), ['write', `[${grpc}.registry]`]);
  t.deepEqual(table('version = 3', '2.1.9'), ['write', `[${images}.registry]`]);
  t.deepEqual(table('version = 1', '1.6.20'), ['write', '[plugins.cri.registry]']);
  t.deepEqual(table('', '1.6.20'), ['write', '[plugins.cri.registry]']);
  t.deepEqual(table('version = 1', '2.1.9'), ['CannotConfigure', '']);
  t.deepEqual(new Node('version = 1\n').wire({ release: undefined as never }), ['CannotConfigure']);
  t.deepEqual(new Node('version = 2\n').wire({ release: undefined as never }), ['write']);
});

test('where containerd reads hosts.toml already, nothing is changed', (t) => {
  const own = `version = 2\n[${grpc}.registry]\nconfig_path = "/mine"\n`;
  t.deepEqual(new Node(own).wire(), []);
  t.deepEqual(new Node('version = 3\n').wire({ release: '2.4.2' }), []);
  t.deepEqual(new Node({}).wire({ release: '2.2.0' }), []);
  t.deepEqual(new Node({}).wire({ found: false }), []);
  t.deepEqual(new Node('disabled_plugins = ["cri"]\n').wire(), []);
});

test('without a file there is one of ours, and none in the end', (t) => {
  for (const [release, version] of [
    ['1.7.27', 'version = 2\n'],
    ['2.1.9', 'version = 3\n'],
  ] as const) {
    const node = new Node({});
    t.deepEqual(node.wire({ release }), ['write']);
    t.true(node.text?.startsWith(version));
    t.is(readConfigs(memoryHost(node.files), release).configs[0]?.configPath, certificatesFolder);
    t.deepEqual(node.remove(), ['delete', 'forget']);
    t.deepEqual(node.files, {});
  }
  t.deepEqual(new Node({}).wire({ release: undefined as never }), ['CannotConfigure']);
});

test('a file of ours that somebody went on with loses our key alone', (t) => {
  const node = new Node({});
  node.wire();
  node.files[main] = `${node.text}[debug]\n  level = "info"\n`;
  t.deepEqual(node.remove(), ['write', 'forget']);
  t.is(node.text, 'version = 2\n[debug]\n  level = "info"\n');
});

test('several mirrors share the change; the last one takes it back', (t) => {
  const node = new Node('version = 2\n');
  node.wire();
  t.deepEqual(node.wire({ mirror: 'two' }), ['note']);
  t.deepEqual(node.record?.mirrors, ['hub', 'two']);
  t.deepEqual(node.wire({ mirror: 'two' }), []);
  t.deepEqual(node.remove('hub'), ['note']);
  t.deepEqual(node.remove('hub'), []);
  t.deepEqual(node.record?.mirrors, ['two']);
  t.is(node.path, certificatesFolder);
  t.deepEqual(node.remove('two'), ['write', 'forget']);
  t.is(node.text, 'version = 2\n');
  t.deepEqual(node.remove('two'), []);
});

test('registry.mirrors and registry.configs are never touched, and what is added beside our key later drives it out', (t) => {
  for (const table of ['mirrors."docker.io"', 'configs."r.example".auth']) {
    const node = new Node(`version = 2\n[${grpc}.registry.${table}]\n`);
    t.deepEqual(node.wire(), ['CannotConfigure']);
  }
  const node = new Node('version = 2\n');
  node.wire();
  const mirrors = `[${grpc}.registry.mirrors."docker.io"]\n  endpoint = ["https://m"]\n`;
  node.files[main] = `${node.text}${mirrors}`;
  t.deepEqual(node.wire(), ['write', 'forget']);
  t.is(node.text, `version = 2\n${mirrors}`);
  t.deepEqual(node.wire(), ['CannotConfigure']);
});

test('what others generate, and what containerd does not read, is left to people', (t) => {
  for (const folder of [
    '/var/lib/rancher/k3s/agent/etc/containerd',
    '/var/lib/rancher/rke2/agent/etc/containerd',
  ])
    t.deepEqual(new Node({ [`${folder}/config.toml`]: 'version = 2\n' }).wire(), ['CannotConfigure']);
  t.deepEqual(new Node({ '/etc/k0s/containerd.toml': 'version = 2\n' }).wire(), ['CannotConfigure']);
  const other = '/etc/other.toml';
  const both = { [main]: 'version = 2\n', [other]: 'version = 2\n' };
  t.deepEqual(new Node(both).wire({ configFile: other }), ['CannotConfigure']);
  t.deepEqual(new Node(both).wire({ configFile: main }), ['write']);
  // Left from when the node had k3s.
  const k3s = { '/var/lib/rancher/k3s/agent/etc/containerd/config.toml': 'version = 2\n' };
  t.deepEqual(new Node({ ...k3s, ...both }).wire({ configFile: main }), ['write']);
});

test('spellings in which a line is no table’s line are not edited', (t) => {
  for (const text of [
    `version = 2\nplugins = {}\n`,
    `version = 2\n[plugins]\n"io.containerd.grpc.v1.cri" = { registry = {} }\n`,
    `version = 2\n[${grpc}]\nregistry.headers = {}\n`,
    `version = 2\n[${grpc}]\nregistry = { config_path = "" }\n`,
    `version = 2\n[${grpc}.registry]\nconfig_path = """"""\n`,
    `version = 2\n[${grpc}.registry]\na = [\n[1],\n]\nconfig_path = ""\n`,
    `version = 2\nx = """\n[${grpc}.registry]\n"""\n[${grpc}.registry]\n`,
  ]) {
    const node = new Node(text);
    t.deepEqual(node.wire(), ['CannotConfigure'], text);
    t.is(node.text, text);
  }
});

test('where an import would take the key away again, nothing is written', (t) => {
  const files = {
    [main]: 'version = 2\nimports = ["/x.toml"]\n',
    '/x.toml': `version = 2\n[${grpc}]\nsandbox_image = "pause"\n`,
  };
  t.deepEqual(new Node(files).wire(), ['CannotConfigure']);
  t.deepEqual(new Node(files).wire({ release: '2.1.9' }), ['write']);
  t.deepEqual(new Node({ [main]: 'version = [' }).wire(), []);
});

test('a path of somebody else’s in our place is only forgotten', (t) => {
  const node = new Node('version = 2\n');
  node.wire();
  node.files[main] = node.text!.replace(certificatesFolder, '/mine');
  const text = node.text;
  t.deepEqual(node.wire(), []);
  t.deepEqual(node.remove(), ['forget']);
  t.is(node.text, text);
  const gone = new Node('version = 2\n');
  gone.wire();
  delete gone.files[main];
  t.deepEqual(gone.remove(), ['forget']);
});

const eols = fc.constantFrom('\n', '\r\n');
const lines = fc.constantFrom(
  '',
  '# comment [x]',
  'a = 1',
  'b.c = "x"',
  'x = """',
  '"""',
  '[plugins]',
  `[${grpc}]`,
  '  sandbox_image = "pause"',
  'registry.config_path = ""',
  `[${grpc}.registry]`,
  `  [${grpc}.registry] # x`,
  `[${images}.registry]`,
  '[plugins.cri.registry]',
  'config_path = ""',
  "config_path = ''",
  `[${grpc}.registry.headers]`,
  '[[array]]',
  '[other."table"]',
  'd = 1979-05-27T07:32:00Z',
  'n = [\n[1],\n]',
);
const texts = fc
  .tuple(
    fc.constantFrom('', 'version = 1', 'version = 2', 'version = 2', 'version = 3'),
    fc.array(lines, { maxLength: 8 }),
    eols,
    fc.boolean(),
  )
  .map(([version, all, eol, ends]) => [version, ...all].join(eol) + (ends ? eol : ''));
const releases = fc.constantFrom(undefined, '1.6.20', '1.7.27', '2.0.5', '2.1.9', '2.4.2');

/** What the file means without any config_path, and without the tables that hold nothing. */
function meaning(text: string): unknown {
  const drop = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Date)
      return value;
    const kept = Object.entries(value)
      .filter(([key]) => key !== 'config_path')
      .map(([key, inner]) => [key, drop(inner)] as const)
      .filter(([, inner]) => JSON.stringify(inner) !== '{}');
    return Object.fromEntries(kept);
  };
  return drop(parse(text));
}

test('whatever the file holds: all or nothing, then byte for byte back, and what somebody adds meanwhile stays', (t) => {
  let changed = 0;
  fc.assert(
    fc.property(
      texts,
      releases,
      fc.constantFrom('', '\n# note\n', '\n[added]\nkey = 1\n'),
      (text, release, added) => {
        const node = new Node(text);
        const steps = node.wire({ release: release as string });
        if (!steps.includes('write')) return t.is(node.text, text);
        changed += 1;
        t.deepEqual(meaning(node.text!), meaning(text));
        t.is(readConfigs(memoryHost(node.files), release).configs[0]?.configPath, certificatesFolder);
        t.deepEqual(node.wire({ release: release as string }), []);
        node.files[main] = `${node.text}${added}`;
        t.true(node.remove().includes('forget'));
        if (added === '') t.is(node.text, text);
        else t.true(node.text!.includes(added) && !node.text!.includes(certificatesFolder));
      },
    ),
    { numRuns: 2000 },
  );
  t.true(changed > 100);
});

test('a file that somebody broke keeps our key, and the record, until it can be read again', (t) => {
  const node = new Node('version = 2\n');
  node.wire();
  const wired = node.text!;
  node.files[main] = `${wired}[broken`;
  t.deepEqual(node.remove(), ['CannotConfigure']);
  node.files[main] = wired;
  t.deepEqual(node.remove(), ['write', 'forget']);
});

test('bytes that are no UTF-8 survive', (t) => {
  const before = Buffer.concat([
    Buffer.from('version = 2\n# '),
    Buffer.from([0xe9, 0xff]),
    Buffer.from('\n'),
  ]);
  const node = new Node({ [main]: before });
  t.deepEqual(node.wire(), ['write']);
  node.remove();
  t.deepEqual(node.files[main], before);
});
