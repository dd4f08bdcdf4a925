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

/** Runs this script again in namespaces of its own; resolves with its exit code. The first signal asks it to end. */
export async function runInside(args: readonly string[], folders: readonly string[]): Promise<number> {
  const rights = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const own = ['--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const command = [process.execPath, ...process.argv.slice(1, 2), ...args];
  const child = spawn('unshare', [...rights, ...own, '--', ...command], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [insideVariable]: folders.join(':') },
  });
  // unshare passes no signal on; the channel also tells when we are killed.
  const stop = () => child.connected && child.disconnect();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, stop);
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

/** Aborts when whoever called `runInside` was interrupted or is gone; brings up the loopback device of the new namespace. */
export function settleInside(): AbortSignal {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  const interrupted = new AbortController();
  process.once('disconnect', () => interrupted.abort());
  // The first signal of a terminal reaches all; the channel has told us by then.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => interrupted.abort());
  process.channel?.unref();
  return interrupted.signal;
}
