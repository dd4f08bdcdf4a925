/**
 * containerd, Debian's 1.6 or 2.4 (built from test/containerd), with folders and a socket of its own, and `ctr` to use it. It lives in a mount
 * namespace in which `/etc/containerd` and `/etc/docker` are those of a folder, so that the paths of a node can be tested as they are.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { containerdFolder } from '../containerd/program.ts';
import { eventually } from './eventually.ts';
import { ownArchitecture } from './images.ts';

const run = promisify(execFile);

export const releases = ['1.6', '2.4'] as const;
export type ContainerdRelease = (typeof releases)[number];

export interface ContainerdOptions {
  readonly release?: ContainerdRelease;
  /** The host root that its two folders below `/etc` and its configuration are taken from; without one it has a configuration for `ctr` alone. */
  readonly root?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Containerd {
  readonly pid: number;
  readonly socket: string;
  /** The folder of its programs. */
  readonly programs: string;
  /** Runs `ctr` in a namespace; rejects, with what it says, when it fails. */
  ctr(namespace: string, ...args: string[]): Promise<string>;
  /** Ends it at once or, with SIGTERM, as a supervisor would. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts it and ends it with the test. What it mounts is in its own namespace: nothing is left but its folder, which goes too. */
export async function startContainerd(
  t: Pick<ExecutionContext, 'teardown'>,
  options: ContainerdOptions = {},
): Promise<Containerd> {
  const { release = '1.6', env = {} } = options;
  const programs = release === '1.6' ? '/usr/bin' : await containerdFolder();
  const dir = mkdtempSync(join(tmpdir(), 'containerd-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const root = options.root ?? makeRoot(dir, release);
  for (const folder of ['containerd', 'docker'])
    for (const each of ['/', root]) mkdirSync(join(each, 'etc', folder), { recursive: true });
  const socket = join(dir, 'sock');
  const logFile = join(dir, 'log');
  const log = openSync(logFile, 'a');
  const child = spawn('setpriv', commandLine(join(programs, 'containerd'), dir, root), {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  });
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  t.teardown(stop.bind(undefined, 'SIGTERM'));
  const ctr = async (namespace: string, ...more: string[]) =>
    (await run(join(programs, 'ctr'), ['--address', socket, '--namespace', namespace, ...more])).stdout;
  await eventually(() => ctr('default', 'version')).catch((cause) => {
    const said = readFileSync(logFile, 'utf8').slice(-2000);
    throw new Error(`containerd ${release} did not start: ${said}`, { cause });
  });
  return { pid: child.pid!, socket, programs, ctr, stop };
}

/** The beginning of a configuration file with what the CRI plugin needs here; more of its image table may follow. */
export function criConfig(release: ContainerdRelease): string {
  return release === '1.6'
    ? 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\n  snapshotter = "native"\n'
    : `version = 3\n${unpackNative}[plugins."io.containerd.cri.v1.images"]\n  snapshotter = "native"\n`;
}

/** Ends with us, even when the test run is killed. `/opt` and `/run` are where its plugins would write. */
function commandLine(program: string, dir: string, root: string): string[] {
  const mounts = [
    ...['containerd', 'docker'].map((name) => `mount --bind "$1/etc/${name}" /etc/${name}`),
    ...['/opt', '/run'].map((path) => `mount -t tmpfs tmpfs ${path}`),
  ];
  const script = `${mounts.join(' && ')} && shift && exec "$@"`;
  const folders = ['root', 'state'].flatMap((name) => [`--${name}`, join(dir, name)]);
  const command = [program, ...folders, '--address', join(dir, 'sock')];
  return ['--pdeathsig', 'KILL', '--', 'unshare', '--mount', 'sh', '-c', script, 'sh', root, ...command];
}

function makeRoot(dir: string, release: ContainerdRelease): string {
  const root = join(dir, 'host');
  mkdirSync(join(root, 'etc/containerd'), { recursive: true });
  writeFileSync(
    join(root, 'etc/containerd/config.toml'),
    release === '1.6' ? configurationForCtr : configurationForCtr + unpackNative,
  );
  return root;
}

const unused = [
  'grpc.v1.cri',
  'internal.v1.tracing',
  'nri.v1.nri',
  'snapshotter.v1.aufs',
  'snapshotter.v1.btrfs',
  'snapshotter.v1.devmapper',
  'snapshotter.v1.zfs',
];

// What one namespace has is not another's: a pull in a new one asks the registry for everything.
const configurationForCtr = `version = 2
disabled_plugins = ${JSON.stringify(unused.map((name) => `io.containerd.${name}`))}

[plugins."io.containerd.metadata.v1.bolt"]
  content_sharing_policy = "isolated"
`;

// The transfer service unpacks by no snapshotter that it was not told of.
const unpackNative = `
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/${ownArchitecture}"
  snapshotter = "native"
`;
