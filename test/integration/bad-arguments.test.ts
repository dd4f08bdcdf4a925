/** What commands say of arguments that are of no use: one short message that names the flag, exit code 1, and never silence. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { brokerConfig, mirrorOf } from '../support/broker.ts';
import { makeAuthority } from '../support/certificates.ts';
import { startCommand } from '../support/command.ts';

const mirror = `apiVersion: k8s.osp.tech/v1
kind: RegistryMirror
metadata: {name: demo}
spec: {upstreamUrl: registry.example}
`;

interface Place {
  readonly dir: string;
  readonly file: string;
  readonly fifo: string;
}

function place(t: ExecutionContext): Place {
  const dir = mkdtempSync(join(tmpdir(), 'arguments-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const [file, fifo] = [join(dir, 'mirrors.yaml'), join(dir, 'fifo')];
  writeFileSync(file, mirror);
  execFileSync('mkfifo', [fifo]);
  return { dir, file, fifo };
}

function standalone({ file, dir }: Place, ...more: string[]): string[] {
  return ['standalone', '--port', '0', '-f', file, '--data', join(dir, 'data'), ...more];
}

const long = 'a'.repeat(100_000);

const cases: readonly [title: string, args: (place: Place) => string[], said: RegExp][] = [
  [
    'a root of a node that is not there',
    ({ dir }) => ['restore', '--all', '--host-root', join(dir, 'none')],
    /^--host-root: expected the path of a node's root, with its folder etc in it, got "\S+none"/,
  ],
  [
    'a root of a node whose variable is empty',
    () => ['restore', '--all', '--host-root', ''],
    /^--host-root: expected the path of a node's root, with its folder etc in it, got ""/,
  ],
  [
    'a data folder that cannot be made',
    ({ file }) => ['standalone', '--port', '0', '-f', file, '--data', '/proc/x/y'],
    /^--data: expected a folder that can be made and written to, got \/proc\/x\/y/,
  ],
  [
    'a data folder in which none can be made',
    ({ file }) => ['standalone', '--port', '0', '-f', file, '--data', '/proc'],
    /^--data: expected a folder that can be made and written to, got \/proc /,
  ],
  [
    'a data folder that is a file',
    ({ file }) => ['standalone', '--port', '0', '-f', file, '--data', file],
    /^--data: expected a folder that can be made and written to, got \S+mirrors[.]yaml/,
  ],
  [
    'a data folder without a name',
    ({ file }) => ['standalone', '--port', '0', '-f', file, '--data', ''],
    /^--data: expected a folder, got an empty path/,
  ],
  [
    'a mirrors file that is a FIFO',
    ({ fifo, dir }) => ['standalone', '--port', '0', '-f', fifo, '--data', join(dir, 'data')],
    /^-f: expected a file that can be read, got \S+fifo, which is no regular file/,
  ],
  [
    'an authority that is a FIFO',
    (place) => standalone(place, '--upstream-ca', place.fifo),
    /^--upstream-ca: expected a file that can be read, got \S+fifo, which is no regular file/,
  ],
  [
    'an authority without a certificate',
    (place) => standalone(place, '--upstream-ca', join(place.dir, 'key')),
    /^--upstream-ca: expected a PEM file with a certificate, got none in \S+key$/m,
  ],
  [
    'a kubeconfig that is not there',
    ({ dir }) => ['doctor', '--cluster', '--kubeconfig', join(dir, 'nowhere')],
    /^--kubeconfig: expected the kubeconfig of a cluster, got \S+nowhere/,
  ],
  [
    'a kubeconfig that is none',
    ({ dir }) => ['doctor', '--cluster', '--kubeconfig', join(dir, 'key')],
    /^--kubeconfig: expected the kubeconfig of a cluster, got \S+key/,
  ],
  [
    'a kubeconfig with no cluster',
    ({ dir }) => ['purge', 'demo', 'app', '--kubeconfig', join(dir, 'mirrors.yaml')],
    /^--kubeconfig: expected the kubeconfig of a cluster, got \S+mirrors[.]yaml/,
  ],
  ['a socket without a name', () => ['doctor', '--socket', ''], /--socket .*expected the path of a socket/],
  [
    'an image that is too long',
    ({ dir }) => ['warm', 'm', long, '--standalone', join(dir, 'standalone')],
    /^a+[.]{3}: expected \[HOST\/\]REPOSITORY/,
  ],
  [
    'an image of a host that is too long',
    ({ dir }) => ['purge', 'm', `${long}.b/app`, '--standalone', join(dir, 'standalone')],
    /^a+[.]{3}: expected an image of .*, got one of a+[.]{3}$/m,
  ],
  [
    'a cache without a name',
    () => ['purge', 'm', 'app', '--standalone', ''],
    /^--standalone: expected the data folder of a standalone, got an empty path/,
  ],
  [
    'a configuration that is a FIFO',
    ({ fifo }) => ['warm', 'm', 'app', '--local', '--config', fifo],
    /^expected the configuration of a cache in \S+fifo: .*no regular file/,
  ],
  [
    'a mirror that is too long',
    ({ dir }) => ['purge', long, 'app', '--standalone', join(dir, 'standalone')],
    /^There is no RegistryMirror a+[.]{3}; there are: m$/m,
  ],
];

for (const [title, args, said] of cases) {
  test(`${title} is told in a line, and the exit code is 1`, async (t) => {
    const there = place(t);
    writeFileSync(join(there.dir, 'key'), (await makeAuthority(join(there.dir, 'ca'))).keyPem);
    standaloneFolder(join(there.dir, 'standalone'));
    const { ended, child } = startCommand(t, args(there));
    // Longer than any of them takes here; until then the message has come.
    const tooLate = setTimeout(() => child.kill('SIGTERM'), 20_000);
    const { code, stderr, stdout } = await ended;
    clearTimeout(tooLate);
    t.is(code, 1, stderr);
    t.regex(stderr, said);
    t.true(stderr.length < 1000, `${stderr.length} characters`);
    t.is(stdout, '');
  });
}

/** As much of a `standalone`'s data folder as `purge` and `warm` look at before they read their images. */
function standaloneFolder(dir: string): void {
  mkdirSync(join(dir, 'conf'), { recursive: true });
  const config = brokerConfig(dir, [mirrorOf('https://registry.example')]);
  writeFileSync(join(dir, 'conf/broker.json'), JSON.stringify(config));
}
