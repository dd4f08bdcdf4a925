/** `rewrite` as people run it. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startCommand } from '../support/command.ts';

const executable = join(import.meta.dirname, '../../bin/registry-mirror-operator');

const map =
  'default::\nquay.io::q.local\n[EXACT]nginx::my/nginx:1\na.io::b::c\n[EXACT]x::\nm.io:5000::1.2.3.4/m.io:5000\n';

const imageMap = (
  name: string,
  day: number,
  to: string,
) => `apiVersion: mapper.imagerelocation.pivotal.io/v1alpha1
kind: ImageMap
metadata: {name: ${name}, creationTimestamp: "2026-01-0${day}T00:00:00Z"}
spec:
  map:
  - {from: "gcr.io/samples/boot:v1", to: "${to}"}
`;

const mirror = (name: string, status: string) => `apiVersion: k8s.osp.tech/v1
kind: RegistryMirror
metadata: {name: ${name}}
spec: {upstreamUrl: ${name}.example}
${status}`;

test('each image has its result and the rule, and faults are counted', async (t) => {
  const maps = await file(t, map);
  const { code, stdout, stderr } = await rewrite(t, [
    '--imageswap-maps',
    maps,
    'quay.io/a/b:1',
    'nginx',
    'redis',
  ]);
  t.is(code, 0);
  t.is(
    stdout,
    'quay.io/a/b:1\tq.local/a/b:1\timageswap:2 quay.io\nnginx\tmy/nginx:1\timageswap:3 [EXACT]nginx\nredis\tredis\tnone\n',
  );
  t.is(stderr, '3 faults in the rules; --explain lists them\n');
});

test('images are read from standard input', async (t) => {
  const { stdout } = await rewrite(
    t,
    ['--legacy-prefix', 'reg.local/p', '-'],
    'nginx:1\r\n\n gcr.io/a/b:tag \nreg.local/p/x',
  );
  t.is(
    stdout,
    'nginx:1\treg.local/p/nginx:1\timageswap LEGACY reg.local/p\ngcr.io/a/b:tag\treg.local/p/b:tag\timageswap LEGACY reg.local/p\nreg.local/p/x\treg.local/p/x\timageswap LEGACY reg.local/p\n',
  );
});

test('many images are no trouble, and a reader that has seen enough is none either', async (t) => {
  const images = Array.from({ length: 2_000 }, (_, index) => `quay.io/org/app-${index}`);
  const { code, stdout, stderr } = await rewrite(t, ['--gilly-registry', 'r.io', '-'], images.join('\n'));
  t.is(code, 0);
  t.is(stdout.split('\n').length, 2_001);
  t.is(stderr, '');
  const pipe = `yes nginx | "$0" rewrite - | head -n 1; echo "\${PIPESTATUS[1]}"`;
  const shell = spawnSync('bash', ['-c', pipe, executable], { encoding: 'utf8', timeout: 60_000 });
  t.deepEqual([shell.stdout, shell.stderr], ['nginx\tnginx\tnone\n0\n', '']);
});

test('--explain lists every bad line and why each rule applied or not', async (t) => {
  const maps = await file(t, map);
  const { stdout, stderr } = await rewrite(t, [
    '--imageswap-maps',
    maps,
    '--explain',
    'quay.io/a',
    'm.io:5000/x',
    'redis',
  ]);
  t.is(
    stdout,
    `${maps}:4: expected one :: between key and value, got several
${maps}:5: an image cannot be made empty; to leave it as it is: [EXACT]x::x
${maps}:6: 1.2.3.4/m.io:5000 is no registry and no beginning of a name; what the line is for stays unchanged
quay.io/a\tq.local/a\timageswap:2 quay.io
  quay.io/a: imageswap:2 quay.io makes it q.local/a
m.io:5000/x\tm.io:5000/x\timageswap:6 m.io:5000
  m.io:5000/x: imageswap:6 m.io:5000: stays: the rule makes no image reference of it
  m.io:5000/x stays: imageswap:6 m.io:5000 would make it "1.2.3.4/m.io:5000/x", which is no image reference
redis\tredis\tnone
  redis: stays: no rule is for it
`,
  );
  t.is(stderr, '');
});

test('-o json prints one object a line', async (t) => {
  const maps = await file(t, map);
  const { stdout } = await rewrite(t, [
    '--imageswap-maps',
    maps,
    '-o',
    'json',
    '--explain',
    'quay.io/a',
    'redis',
  ]);
  const [quay, redis] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const rule = { source: 'imageswap', key: 'quay.io', line: 2 };
  t.deepEqual(quay, {
    image: 'quay.io/a',
    result: 'q.local/a',
    outcome: 'rewritten',
    rule,
    steps: [{ rule, result: 'q.local/a' }],
    passedOver: [],
    explanation: ['quay.io/a: imageswap:2 quay.io makes it q.local/a'],
  });
  t.like(redis, { result: 'redis', outcome: 'none' });
});

test('ImageMaps are those of the namespace, the older one wins, and the other one is named', async (t) => {
  const maps = await file(t, `${imageMap('newer', 2, 'n/boot')}---\n${imageMap('older', 1, 'o/boot')}`);
  const args = ['--image-maps', maps, '--namespace', 'team', '--explain', 'gcr.io/samples/boot:v1'];
  const { stdout } = await rewrite(t, args);
  t.regex(stdout, /^gcr\.io\/samples\/boot:v1\to\/boot\tImageMap\/older gcr\.io\/samples\/boot:v1$/m);
  t.regex(
    stdout,
    /^imagemap "newer" in namespace "team" was rejected: it maps "gcr\.io\/samples\/boot:v1" to "n\/boot" but older maps/m,
  );
});

test('mirrors are asked where they are available, and by pods without pull secrets', async (t) => {
  const status = (value: string) =>
    `status: {clusterIPs: [10.96.0.9], conditions: [{type: CacheAvailable, status: "${value}", reason: R, message: m, lastTransitionTime: "2026-01-01T00:00:00Z"}]}\n`;
  const mirrors = await file(
    t,
    [mirror('up', status('True')), mirror('down', status('False')), mirror('new', '')].join('---\n'),
  );
  const images = ['mirror-up.example/a/b', 'mirror-down.example/a', 'mirror-new.example/a'];
  const { stdout } = await rewrite(t, ['--mirrors', mirrors, '--cluster-ip', 'new=10.96.0.7', ...images]);
  t.is(
    stdout,
    `mirror-up.example/a/b\t10.96.0.9/mirror-up.example/a/b\tmirror/up mirror-up.example
mirror-down.example/a\tmirror-down.example/a\tnone
mirror-new.example/a\t10.96.0.7/mirror-new.example/a\tmirror/new mirror-new.example
`,
  );
  const withSecrets = await rewrite(t, [
    '--mirrors',
    mirrors,
    '--pull-secrets',
    '--explain',
    'mirror-up.example/a/b',
  ]);
  t.regex(withSecrets.stdout, /mirror\/up mirror-up\.example does not apply: the pod has imagePullSecrets/);
  t.regex(withSecrets.stdout, /^mirror new has no rule: it has no address yet$/m);
});

test('a mirror or map that is only proposed is younger than those of the cluster, and one that is being deleted is gone', async (t) => {
  const mirrorOf = (name: string, metadata: string) =>
    mirror(name, '').replace(`{name: ${name}}`, `{name: ${name}, ${metadata}}`);
  const at = (field: string) => `${field}: "2026-01-01T00:00:00Z"`;
  const same = mirror('proposed', '').replace('proposed.example', 'live.example');
  const documents = [
    same,
    mirrorOf('live', at('creationTimestamp')),
    mirrorOf('gone', at('deletionTimestamp')),
  ];
  const mirrors = await file(t, documents.join('---\n'));
  const maps = await file(
    t,
    [imageMap('a', 1, 'a/boot').replace(/, creationTimestamp: [^}]+/, ''), imageMap('b', 2, 'b/boot')].join(
      '---\n',
    ),
  );
  const images = ['mirror-live.example/a', 'mirror-gone.example/a', 'gcr.io/samples/boot:v1'];
  const sources = ['--mirrors', mirrors, '--cluster-ip', '10.96.0.7', '--image-maps', maps, '-n', 'team'];
  const { stdout, stderr } = await rewrite(t, [...sources, ...images]);
  t.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[2]),
    ['mirror/live mirror-live.example', 'none', 'ImageMap/b gcr.io/samples/boot:v1'],
    stderr,
  );
});

test('an address of a mirror that the file does not have is refused', async (t) => {
  const mirrors = await file(t, mirror('up', ''));
  const { code, stderr } = await rewrite(t, ['--mirrors', mirrors, '--cluster-ip', 'pu=10.96.0.7', 'nginx']);
  t.deepEqual([code, stderr], [1, '--cluster-ip: there is no RegistryMirror pu\n']);
  const twice = await rewrite(t, ['--mirrors', mirrors, '--cluster-ip', 'x=up=10.96.0.7', 'nginx']);
  t.regex(twice.stderr, /^--cluster-ip: expected ADDRESS or NAME=ADDRESS, got x=up=10\.96\.0\.7$/m);
});

test('gilly’s sources that meet in one name are told', async (t) => {
  const images = ['gcr.io/sgryczan/rocket:latest', 'quay.io/sgryczan/rocket:1', 'ghcr.io/x'];
  const args = ['--gilly-registry', 'my.internal.repo', '--gilly-exclude', 'ghcr.io'];
  const dropped = await rewrite(t, [...args, ...images]);
  t.is(
    dropped.stdout,
    'gcr.io/sgryczan/rocket:latest\tmy.internal.repo/sgryczan/rocket:latest\tgilly my.internal.repo\nquay.io/sgryczan/rocket:1\tmy.internal.repo/sgryczan/rocket:1\tgilly my.internal.repo\nghcr.io/x\tghcr.io/x\tnone\n',
  );
  t.is(
    dropped.stderr,
    'my.internal.repo/sgryczan/rocket: several sources meet here: gcr.io/sgryczan/rocket, quay.io/sgryczan/rocket\n',
  );
  const kept = await rewrite(t, [...args, '--gilly-keep-source', ...images]);
  t.is(kept.stderr, '');
  t.regex(kept.stdout, /\tmy\.internal\.repo\/quay\.io\/sgryczan\/rocket:1\t/);
});

test('faults of flags and files are told together, and nothing is printed', async (t) => {
  const maps = await file(t, 'kind: Pod\nspec: {map: [{from: 1}]}\n');
  const args = [
    '--image-maps',
    maps,
    '--imageswap-maps',
    '/does/not/exist',
    '--legacy-prefix',
    'x',
    '--cluster-ip',
    'here',
  ];
  const { code, stdout, stderr } = await rewrite(t, [...args, '--gilly-keep-source', 'nginx']);
  t.is(code, 1);
  t.is(stdout, '');
  for (const expected of [
    /^--imageswap-maps, --legacy-prefix: expected one of them$/m,
    /^--namespace: expected/m,
    /^--gilly-registry: expected/m,
    /^--imageswap-maps: expected a readable file, got \/does\/not\/exist/m,
    /^--cluster-ip: expected ADDRESS or NAME=ADDRESS, got here$/m,
    /:1: document 1: kind: expected ImageMap$/m,
    /:1: document 1: metadata\.name: expected a name$/m,
    /:2: document 1: spec\.map\[0\]\.from: expected a text$/m,
  ]) {
    t.regex(stderr, expected);
  }
  t.notRegex(stderr, /^ {4}at /m);
});

test('targets that are none are refused', async (t) => {
  const { code, stderr } = await rewrite(t, ['--gilly-registry', 'https://x', 'nginx']);
  t.is(code, 1);
  t.is(stderr, '--gilly-registry: expected a registry as host[:port][/path], got "https://x"\n');
});

async function rewrite(t: ExecutionContext, args: readonly string[], input = '') {
  const { child, ended } = startCommand(t, ['rewrite', ...args]);
  child.stdin.end(input);
  return ended;
}

async function file(t: ExecutionContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rewrite-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const name = join(folder, 'rules');
  await writeFile(name, text);
  return name;
}
