/** Debian's dockerd with folders and a socket of its own, in a mount namespace where a folder is its /etc/docker (its containerd writes to /opt). */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { eventually } from './eventually.ts';

const run = promisify(execFile);

export interface Dockerd {
  readonly pid: number;
  readonly socket: string;
  readonly docker: (...args: string[]) => Promise<string>;
  /** The mirrors of docker.io that are in force, each with a slash at its end. */
  readonly mirrors: () => Promise<string[]>;
}

/** Starts it without networks and ends it with the test; `etc` is the folder. `env` is added to this process's environment. */
export async function startDockerd(
  t: Pick<ExecutionContext, 'teardown'>,
  etc: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Dockerd> {
  mkdirSync('/etc/docker', { recursive: true });
  const dir = mkdtempSync(join(tmpdir(), 'dockerd-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const socket = join(dir, 'sock');
  const folders = ['data-root', 'exec-root', 'pidfile'].map((name) => `--${name}=${join(dir, name)}`);
  const network = ['--bridge=none', '--iptables=false', '--ip-forward=false', '--ip-masq=false'];
  const script = 'mount --bind "$1" /etc/docker && mount -t tmpfs tmpfs /opt && shift && exec "$@"';
  const command = ['dockerd', `--host=unix://${socket}`, '--storage-driver=vfs', ...folders, ...network];
  const args = ['--pdeathsig', 'KILL', '--', 'unshare', '--mount', 'sh', '-c', script, 'sh', etc, ...command];
  const log = join(dir, 'log');
  const output = openSync(log, 'a');
  const child = spawn('setpriv', args, {
    stdio: ['ignore', output, output],
    env: { ...process.env, ...env },
  });
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  const client = { PATH: process.env['PATH'], HOME: dir, DOCKER_HOST: `unix://${socket}` };
  const docker = async (...more: string[]) => (await run('docker', more, { env: client })).stdout;
  await eventually(() => docker('version')).catch((cause) => {
    throw new Error(`dockerd did not start: ${readFileSync(log, 'utf8').slice(-2000)}`, { cause });
  });
  const mirrors = async () =>
    JSON.parse(await docker('info', '--format', '{{json .RegistryConfig.Mirrors}}')) ?? [];
  return { pid: child.pid!, socket, docker, mirrors };
}
