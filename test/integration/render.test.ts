/** `render` as people run it; what it prints is fed to nginx itself. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { loadAll } from 'js-yaml';
import { parseAddresses } from '../../src/cli/given-addresses.ts';
import { readMirrorDocuments } from '../../src/cli/mirror-documents.ts';
import { renderMirrors } from '../../src/cli/render-mirrors.ts';
import type { KubernetesObject } from '../../src/resources/object.ts';
import { makeAuthority, makeLeaf } from '../support/certificates.ts';
import { programEnvironment } from '../support/program-environment.ts';
import { settingsOf } from '../unit/resources/fixtures.ts';

const root = join(import.meta.dirname, '../..');
const executable = join(root, 'bin/registry-mirror-operator');
const environment = { ...programEnvironment, OPERATOR_IMAGE: 'registry.example/operator:1' };

const mirror = `apiVersion: k8s.osp.tech/v1
kind: RegistryMirror
metadata:
  name: quay
spec:
  upstreamUrl: quay.io
  masqueradeUrl: cache.example:5000
  credentialsSecret: robot
`;

test('render prints the same bytes each time, from a file and from standard input', async (t) => {
  const file = join(await temporaryFolder(t), 'mirror.yaml');
  await writeFile(file, mirror);
  const fromFile = await render(['-f', file, '--cluster-ip', '10.96.0.10']);
  const fromInput = await render(['-f', '-', '--cluster-ip', '10.96.0.10'], { input: mirror });
  t.is(fromFile.code, 0);
  t.is(fromFile.stdout, fromInput.stdout);
  t.is((loadAll(fromFile.stdout) as unknown[]).length, 8);
});

test('render lists the faults of flags, environment and every document, and prints nothing', async (t) => {
  const input = `${mirror.replace('quay.io', 'QUAY')}---\n${mirror.replace('name: quay', 'name: a.b')}`;
  const env = { ADDRESSING_SCHEME: 'wrong', IMAGE_PULL_SECRETS: 'UPPER' };
  const { code, stdout, stderr } = await render(['-f', '-', '--cluster-ip', 'here'], { input, env });
  t.is(code, 1);
  t.is(stdout, '');
  for (const expected of [
    /^--cluster-ip: expected ADDRESS or NAME=ADDRESS, got here$/m,
    /^ADDRESSING_SCHEME: expected one of hostess, services, got "wrong"$/m,
    /^IMAGE_PULL_SECRETS: /m,
    /^-:6: document 1 \(RegistryMirror "quay"\): spec\.upstreamUrl: Invalid value: "QUAY"/m,
    /^-:\d+: document 2 \(RegistryMirror "a\.b"\): metadata\.name: Invalid value: metadata\.name: /m,
  ]) {
    t.regex(stderr, expected);
  }
  t.notRegex(stderr, /^ {4}at /m);
});

test('render makes nothing of a mirror that is being deleted', async (t) => {
  const input = mirror.replace('name: quay', 'name: quay\n  deletionTimestamp: "2026-01-01T00:00:00Z"');
  const { code, stdout, stderr } = await render(['-f', '-'], { input });
  t.is(code, 0);
  t.is(stdout, '');
  t.regex(stderr, /^quay: nothing is made: it is being deleted$/m);
  const unknown = await render(['-f', '-', '--cluster-ip', 'quai=10.96.0.7'], { input });
  t.deepEqual([unknown.code, unknown.stderr], [1, '--cluster-ip: there is no RegistryMirror quai\n']);
});

test('render names a file that cannot be read', async (t) => {
  const { code, stderr } = await render(['-f', '/does/not/exist.yaml']);
  t.is(code, 1);
  t.regex(stderr, /--file: expected a readable file, got \/does\/not\/exist\.yaml/);
});

const variants: [string, string[], Record<string, string>][] = [
  ['without an address', [], {}],
  ['with one address', ['10.96.0.10'], {}],
  ['with both families', ['10.96.0.10', 'fd00::1'], {}],
  ['with a given certificate', ['10.96.0.10'], { DOCKER_CERTIFICATE_SECRET: 'given' }],
  ['in services mode', ['10.96.0.10'], { ADDRESSING_SCHEME: 'services' }],
];

for (const [how, addresses, env] of variants) {
  test.serial(`nginx starts from what is rendered of every example ${how}`, async (t) => {
    const folder = join(root, 'examples');
    const examples = (await readdir(folder)).filter((name) => name.endsWith('.yaml'));
    t.true(examples.length > 0);
    const certificates = await makeCertificates(t);
    for (const name of examples) {
      const documents = readMirrorDocuments(await readFile(join(folder, name), 'utf8'), name);
      if ('faults' in documents) throw new Error(documents.faults.join());
      const { text } = renderMirrors(documents.mirrors, settingsOf(env), parseAddresses(addresses));
      const pods = cachePods(loadAll(text) as KubernetesObject[]);
      t.is(pods.length, documents.mirrors.length);
      for (const pod of pods) await testConfiguration(t, pod, certificates);
    }
  });
}

interface CachePod {
  readonly command: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

/** nginx's command in each StatefulSet, and the files it is given. */
function cachePods(objects: readonly KubernetesObject[]): CachePod[] {
  return objects
    .filter(({ kind }) => kind === 'StatefulSet')
    .map((set) => {
      const { containers } = (set as unknown as PodOwner).spec.template.spec;
      const secret = objects.find(({ metadata }) => metadata.name === `${set.metadata.name}-secret`);
      const data = Object.entries((secret?.['data'] ?? {}) as Record<string, string>);
      const files = data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]);
      return { command: containers[0]!.command, files: Object.fromEntries(files) };
    });
}

interface PodOwner {
  spec: { template: { spec: { containers: { command: string[] }[] } } };
}

/** Runs the container's own command with `-t`, its absolute paths moved below a folder. */
async function testConfiguration(t: ExecutionContext, pod: CachePod, certificates: string): Promise<void> {
  const folder = await temporaryFolder(t);
  const moved = (value: string) =>
    value.replace(
      /\/(etc\/registry-mirror|var\/lib\/registry|run\/registry-mirror|tmp)(?=\/)/g,
      `${folder}/$1`,
    );
  for (const path of ['etc/registry-mirror/config', 'var/lib/registry', 'run/registry-mirror', 'tmp']) {
    await mkdir(join(folder, path), { recursive: true });
  }
  for (const [name, text] of Object.entries(pod.files)) {
    await writeFile(join(folder, 'etc/registry-mirror/config', name), moved(text));
  }
  await cp(certificates, join(folder, 'etc/registry-mirror/tls'), { recursive: true });
  // Its last word is a line for the shell, and that line's last word is nginx's.
  const [program, ...args] = pod.command.map(moved);
  const line = args.pop();
  t.regex(line ?? '', /&& exec nginx /);
  const { code, stderr } = await runNginx(program!, [...args, `${line} -t`]);
  t.is(code, 0, stderr);
  t.notRegex(stderr, /\[(warn|alert|emerg)\]/);
}

/** A folder as the pod has it mounted. */
async function makeCertificates(t: ExecutionContext): Promise<string> {
  const folder = await temporaryFolder(t);
  const authority = await makeAuthority(folder);
  await copyFile(authority.file, join(folder, 'peer-ca.crt'));
  for (const name of ['tls', 'given']) await makeLeaf(authority, ['localhost'], name);
  return folder;
}

async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'render-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

interface Ended {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

function render(
  args: string[],
  { input = '', env = {} }: { input?: string; env?: Record<string, string> } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { ...environment, ...env } };
    const child = execFile(executable, ['render', ...args], options, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? 'signal') : 0, stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

/** Its standard output is no pipe: Node's pipes are sockets, and nginx cannot open `/dev/stdout` where that is one. */
async function runNginx(program: string, args: string[]): Promise<Pick<Ended, 'code' | 'stderr'>> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  return { code, stderr };
}
