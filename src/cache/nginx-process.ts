/** nginx as a child process: how it is started, tested, reloaded and known to serve. Used by standalone and by the cache pod's reloader. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

/** Makes the kernel end a child when we are killed; without it children are found at the next start only. */
const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

/**
 * Starts a program that must not outlive us, as leader of a process group of its own: a killed nginx master leaves workers, and
 * they are found by their group. Its output goes to our standard error.
 */
export function spawnOwned(command: string, args: readonly string[]): ChildProcess {
  const [program, ...rest] =
    setpriv === undefined ? [command, ...args] : [setpriv, '--pdeathsig', 'TERM', '--', command, ...args];
  return spawn(program ?? command, rest, { stdio: ['ignore', 2, 2], detached: true });
}

/**
 * Starts nginx with `confFile` (`daemon off` is in it). A killed one leaves its unix socket, on which the next could not listen: whoever
 * starts one knows that no other runs.
 */
export function startNginx(confFile: string, localSocket: string): ChildProcess {
  rmSync(localSocket, { force: true });
  // Until the configuration is read nginx logs to a compiled-in place; -e names ours.
  return spawnOwned('nginx', ['-e', 'stderr', '-c', confFile]);
}

/**
 * Resolves when nginx accepts `confFile`; rejects with what it says otherwise. Its standard output is no pipe of ours: those are
 * sockets, and nginx, which opens its logs to test them, cannot open `/dev/stdout` where that is one.
 */
export async function testNginx(confFile: string): Promise<void> {
  const args = ['-t', '-q', '-e', 'stderr', '-c', confFile];
  const child = spawn('nginx', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close').catch((error: unknown) => {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw isMissing
      ? new Error('nginx: expected a program of that name in PATH (Debian: nginx-light)')
      : error;
  });
  const [output, [code]] = await Promise.all([text(child.stderr), ended]);
  if (code !== 0) throw new Error(`nginx refused ${confFile}: ${output.trim() || String(code)}`);
}

/** The process id in `pidFile`, or undefined while there is none. */
export async function readPid(pidFile: string): Promise<number | undefined> {
  const pid = await readFile(pidFile, 'utf8').catch(() => '');
  return /^[1-9][0-9]*\n?$/.test(pid) ? Number(pid) : undefined;
}

/** Asks the nginx of `pidFile` to take on its configuration anew; connections and downloads go on. Throws if there is none. */
export async function reloadNginx(pidFile: string): Promise<void> {
  const pid = await readPid(pidFile);
  if (pid === undefined) throw new Error(`no process id in ${pidFile}`);
  process.kill(pid, 'SIGHUP');
}

/** Old workers go on accepting for a moment after new ones answer: so many answers in a row, a pause apart, are all new ones'. */
const answersInARow = 6;
const pauseMs = 50;

/** Resolves when `/health-check` at `address` answers, with `generation` and no other if one is given; retries until `signal` aborts. */
export async function waitUntilServing(
  address: { readonly address: string; readonly port: number },
  options: { generation?: string; signal: AbortSignal },
): Promise<void> {
  const { generation, signal } = options;
  const wanted = generation === undefined ? 1 : answersInARow;
  for (let seen = 0; ; ) {
    signal.throwIfAborted();
    const answer = await healthCheck(address).catch(() => undefined);
    seen = answer !== undefined && (generation ?? answer) === answer ? seen + 1 : 0;
    if (seen === wanted) return;
    await delay(pauseMs, undefined, { signal });
  }
}

/** The generation nginx tells. Only that it answers counts here: the certificate may be for other names. */
function healthCheck({ address, port }: { address: string; port: number }): Promise<string> {
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
  return new Promise((resolve, reject) => {
    const options = {
      host,
      port,
      path: '/health-check',
      rejectUnauthorized: false,
      agent: false,
      timeout: 2000,
    };
    const asked = request(options, (response) => {
      response.resume();
      if (response.statusCode === 200) resolve(String(response.headers['x-config-generation']));
      else reject(new Error(`health-check answered ${response.statusCode}`));
    });
    asked.on('timeout', () => asked.destroy(new Error('health-check timed out')));
    asked.on('error', reject).end();
  });
}
