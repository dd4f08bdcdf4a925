/** What an earlier run may leave: its lock and nginx workers that hold the port, when it was killed, and caches. Linux only (`/proc`). */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { subdomain } from '../api/subdomain.ts';
import { nginxPidFile } from '../cache/cache-config.ts';
import { readPid } from '../cache/nginx-process.ts';
import { ConfigError } from '../config/problems.ts';
import { errorMessage, type Logger } from '../observe/log.ts';
import { type Folders, writeWhole } from './folders.ts';

const termWaitMs = 1000;
const turnMs = 20;
/** Of a file that somebody may have edited: never a way out of the folder. */
const mirrorName = new RegExp(`^${subdomain}$`);

/** Takes the data folder for this process; throws a `ConfigError` that names the process that has it. */
export async function lockFolder(folders: Folders): Promise<void> {
  const turn = await waitForTurn(await realpath(folders.root));
  try {
    await lockInTurn(folders);
  } finally {
    turn.close();
  }
}

/**
 * Of several starts one at a time looks at the lock: another could remove the one that was just made for that of a dead process. An abstract
 * unix socket is had by one process and goes with it (unix(7)).
 */
async function waitForTurn(root: string): Promise<Server> {
  const name = createHash('sha256').update(root).digest('hex');
  for (;;) {
    const server = createServer();
    try {
      await once(server.listen(`\0${name}`), 'listening');
      return server;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      await delay(turnMs);
    }
  }
}

async function lockInTurn({ lockFile, root }: Folders): Promise<void> {
  const [pid = '', since] = (await readFile(lockFile, 'utf8').catch(noneIfGone)).trim().split(' ');
  // A process id alone may be anybody's after a reboot.
  if (since !== undefined && (await startTime(Number(pid))) === since) {
    throw new ConfigError([`--data: expected a folder of its own, got ${root}, which process ${pid} uses`]);
  }
  await writeFile(lockFile, `${process.pid} ${await startTime(process.pid)}\n`, { mode: 0o600 });
}

function noneIfGone(error: NodeJS.ErrnoException): '' {
  if (error.code !== 'ENOENT') throw error;
  return '';
}

/** Gives the data folder back. */
export async function unlockFolder({ lockFile }: Folders): Promise<void> {
  await rm(lockFile, { force: true });
}

/** Ends what is left of the nginx that last ran in these folders. Only processes of its group with files open in here are touched. */
export async function endLeftovers(folders: Folders, log: Logger): Promise<void> {
  const pidFile = nginxPidFile(folders);
  const group = await readPid(pidFile);
  if (group === undefined) return;
  // The system's own name of the folder (proc(5)), which may be given by way of a link.
  const root = await realpath(folders.root);
  const left = await processesOf(group, root);
  if (left.length > 0) log.warn({ processes: left }, 'Ended nginx processes that an earlier run left');
  signalAll(left, 'SIGTERM');
  const deadline = Date.now() + termWaitMs;
  while (Date.now() < deadline && (await processesOf(group, root)).length > 0) await delay(50);
  signalAll(await processesOf(group, root), 'SIGKILL');
  await rm(pidFile, { force: true });
}

/** Writes down, before they are made, the caches of these mirrors: nothing else of `cacheDir` is ever removed. */
export async function noteCaches({ madeCachesFile }: Folders, mirrors: readonly string[]): Promise<void> {
  const made = await madeCaches(madeCachesFile);
  await writeWhole(madeCachesFile, textOf([...new Set([...made, ...mirrors])]));
}

/**
 * Removes the caches that were made for mirrors other than `mirrors`: nothing bounds them, and their disk is wanted. For the start only: a
 * running nginx may still serve from them. What cannot be removed is logged.
 */
export async function removeOldCaches(
  { cacheDir, madeCachesFile }: Folders,
  mirrors: readonly string[],
  log: Logger,
): Promise<void> {
  const old = (await madeCaches(madeCachesFile)).filter((name) => !mirrors.includes(name));
  if (old.length === 0) return;
  try {
    for (const name of old) await rm(join(cacheDir, name), { recursive: true, force: true });
    await writeWhole(madeCachesFile, textOf(mirrors));
    log.info({ mirrors: old }, 'Removed the caches of mirrors that the file does not have');
  } catch (error) {
    log.warn({ mirrors: old, detail: errorMessage(error) }, 'Caches of former mirrors could not be removed');
  }
}

async function madeCaches(file: string): Promise<string[]> {
  return (await readFile(file, 'utf8').catch(noneIfGone)).split('\n').filter((name) => mirrorName.test(name));
}

function textOf(names: readonly string[]): string {
  return names.map((name) => `${name}\n`).join('');
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

async function processesOf(group: number, root: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  const found: number[] = [];
  for (const pid of pids) {
    // proc(5): the fields after the name are state, parent, process group.
    if (Number((await statFields(pid))[2]) === group && (await hasOpen(pid, root))) found.push(pid);
  }
  return found;
}

async function hasOpen(pid: number, root: string): Promise<boolean> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const links = names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => ''));
  return (await Promise.all(links)).some((link) => link.startsWith(`${root}/`));
}

/** Clock ticks since boot at which `pid` started; undefined when there is no such process. */
async function startTime(pid: number): Promise<string | undefined> {
  return (await statFields(pid))[19];
}

async function statFields(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
