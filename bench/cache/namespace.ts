/**
 * A network and process namespace for one run: its limit of the upstream's connections is nobody else's, nothing leaves the
 * machine, every port is free, and however the run ends, all its processes end with it.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

const insideVariable = 'BENCH_CACHE_FOLDERS';

/** The folders given to a process that `runInside` has started; undefined in any other. */
export function foldersInside(): string[] | undefined {
  return process.env[insideVariable]?.split(':');
}

/** Runs this script again in namespaces of its own; resolves with its exit code. */
export async function runInside(args: readonly string[], folders: readonly string[]): Promise<number> {
  const rights = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const own = ['--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const command = [process.execPath, ...process.argv.slice(1, 2), ...args];
  const child = spawn('unshare', [...rights, ...own, '--', ...command], {
    stdio: 'inherit',
    env: { ...process.env, [insideVariable]: folders.join(':') },
  });
  const stop = () => child.kill('SIGTERM');
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, stop);
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

/** A new network namespace has a loopback device that is down. */
export function bringUpLoopback(): void {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
}
