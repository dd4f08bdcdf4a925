/** A rendered cache pod run as a kubelet would: its containers' own commands, its files, its preStop hooks. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { loadAll } from 'js-yaml';
import { waitUntilServing } from '../../src/cache/nginx-process.ts';
import { ports } from '../../src/cache/ports.ts';
import { renderMirrors } from '../../src/cli/render-mirrors.ts';
import type { KubernetesObject } from '../../src/resources/object.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { mirrorOf, settingsOf } from '../unit/resources/fixtures.ts';

const root = join(import.meta.dirname, '../..');

test('the pod serves, takes on a new configuration, keeps the last good one, and ends nginx before the broker', async (t) => {
  const pod = await startPod(t);
  await pod.serving(generationIn(pod.files('60s')));

  await pod.write(pod.files('2h'));
  await pod.serving(generationIn(pod.files('2h')));

  await pod.write({ ...pod.files('3h'), 'default.conf': 'nonsense;' });
  await eventually(async () => assert.match(await pod.brokerLog(), /Kept the nginx configuration in force/));
  await pod.serving(generationIn(pod.files('2h')));

  await pod.write(pod.files('3h'));
  await pod.serving(generationIn(pod.files('3h')));

  await Promise.all(pod.preStops().map((command) => ended(start(command, '/dev/null'))));
  t.false(existsSync(pod.pidFile));
  await eventually(() => assert.equal(pod.nginx.exitCode, 0));
  t.is(pod.broker.exitCode, null, 'the broker outlives nginx');
});

test('a given certificate that changes is served without a restart', async (t) => {
  const pod = await startPod(t, { DOCKER_CERTIFICATE_SECRET: 'given' });
  const served = () => servedCertificate(pod.port, 'mirror-registry.invalid');
  const own = async () => certificateIn(await readFile(join(pod.tls, 'given.crt'), 'utf8'));
  await pod.serving(generationIn(pod.files('60s')));
  const before = await own();
  t.is(await served(), before);

  await makeLeaf(await makeAuthority(join(pod.tls, 'next')), ['localhost'], 'given');
  for (const name of ['given.crt', 'given.key'])
    await rename(join(pod.tls, 'next', name), join(pod.tls, name));
  await eventually(async () => assert.equal(await served(), await own()));
  t.not(await own(), before);
  t.is(pod.nginx.exitCode, null);
});

/** The certificate that a client gets who asks for `servername`; its SHA-256. */
function servedCertificate(port: number, servername: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
    resolve(socket.getPeerCertificate().fingerprint256);
    socket.destroy();
  });
  socket.once('error', reject);
  return promise;
}

function certificateIn(pem: string): string {
  return new X509Certificate(pem).fingerprint256;
}

interface Container {
  readonly command: string[];
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: string[] } } };
}

type Files = Readonly<Record<string, string>>;

async function startPod(t: ExecutionContext, environment: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'pod-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const port = await freePort();
  const free = new Map<string, number>();
  for (const one of Object.values(ports))
    free.set(String(one), one === ports.https ? port : await freePort());
  // In nginx's files after an address, in the broker's by themselves; and what a kubelet puts into a command.
  const moved = (value: string) =>
    moveBelow(folder, value)
      .replace(/(?<=:|"port": )(5000|5001|5002|9090)\b/g, (one) => String(free.get(one)))
      .replace('$(POD_NAME)', 'registry-mirror-hub-0');
  await makeFolders(folder);
  const files = (tagTTL: string): Files => mapValues(rendered(tagTTL, environment).files, moved);
  const write = (next: Files) => writeFiles(join(folder, 'etc/registry-mirror/config'), next);
  await write(files('60s'));
  const containers = rendered('60s', environment).containers as [Container, Container];
  const [nginx, broker] = containers.map(({ command }, index) => {
    const child = start(command.map(moved), join(folder, `${index}.log`));
    t.teardown(() => stop(child));
    return child;
  });
  return {
    port,
    tls: join(folder, 'etc/registry-mirror/tls'),
    files,
    write,
    nginx: nginx!,
    broker: broker!,
    pidFile: join(folder, 'run/registry-mirror/nginx.pid'),
    brokerLog: () => readFile(join(folder, '1.log'), 'utf8'),
    serving: (generation: string) =>
      waitUntilServing({ address: '127.0.0.1', port }, { generation, signal: AbortSignal.timeout(30_000) }),
    // The seconds for endpoints to spread are of no use here.
    preStops: () =>
      containers.map(({ lifecycle }) =>
        lifecycle.preStop.exec.command.map((word) => moved(word).replace('sleep 5;', '')),
      ),
  };
}

/** The containers of the cache pod, and the files of its configuration. */
function rendered(
  tagTTL: string,
  environment: Record<string, string>,
): { containers: Container[]; files: Files } {
  const mirror = mirrorOf({ upstreamUrl: 'registry.invalid', cache: { tagTTL } });
  const { text } = renderMirrors([mirror], settingsOf(environment), {
    others: ['10.96.0.10'],
    byMirror: new Map(),
  });
  const objects = loadAll(text) as KubernetesObject[];
  const set = objects.find(({ kind }) => kind === 'StatefulSet') as unknown as {
    spec: { template: { spec: { containers: Container[] } } };
  };
  const secret = objects.find(({ metadata }) => metadata.name.endsWith('-secret'));
  const data = secret?.['data'] as Record<string, string>;
  return {
    containers: set.spec.template.spec.containers,
    files: mapValues(data, (value) => Buffer.from(value, 'base64').toString()),
  };
}

function moveBelow(folder: string, value: string): string {
  const paths = /\/(etc\/registry-mirror|var\/lib\/registry|run\/registry-mirror|tmp)(?=\/)/g;
  return value.replace(paths, `${folder}/$1`);
}

async function makeFolders(folder: string): Promise<void> {
  for (const path of ['etc/registry-mirror/config', 'var/lib/registry', 'run/registry-mirror', 'tmp']) {
    await mkdir(join(folder, path), { recursive: true });
  }
  const authority = await makeAuthority(join(folder, 'etc/registry-mirror/tls'));
  for (const name of ['tls', 'given']) await makeLeaf(authority, ['localhost'], name);
  await copyFile(authority.file, join(folder, 'etc/registry-mirror/tls/peer-ca.crt'));
}

/** As kubelet does: whole files, each replaced at once. */
async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, `${name}.new`), text);
    await rename(join(folder, `${name}.new`), join(folder, name));
  }
}

/** A container's output is a file or a pipe, which nginx opens by name; what Node calls a pipe is a socket. */
function start([program, ...args]: readonly string[], logFile: string): ChildProcess {
  const output = logFile === '/dev/null' ? 'ignore' : openSync(logFile, 'a');
  const own = program === 'registry-mirror-operator' ? join(root, 'bin', program) : (program ?? '');
  return spawn(own, args, { stdio: ['ignore', output, output] });
}

async function ended(child: ChildProcess): Promise<void> {
  await once(child, 'close');
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await ended(child);
}

function generationIn(files: Files): string {
  return /X-Config-Generation "?([0-9a-f]{16})/.exec(files['default.conf'] ?? '')?.[1] ?? 'none';
}

function mapValues(values: Files, change: (value: string) => string): Files {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]));
}
