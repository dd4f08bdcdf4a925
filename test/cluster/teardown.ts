/** Removes a cluster, whole or half-made, by what its folder tells of it. */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { removeCgroup } from './cgroups.ts';
import { endingFile, placesFolder, readState, starterFile } from './cluster-state.ts';
import { Place } from './place.ts';
import { isThere, readRecord } from './process-record.ts';
import { systemPath } from './programs.ts';

/** May be run again, as often as it is broken off: the folder goes last. Returns whether there was anything. */
export async function tearDown(given: string): Promise<boolean> {
  if (!existsSync(given)) return false;
  const folder = realpathSync(given);
  writeFileSync(endingFile(folder), '');
  await endStarter(folder);
  await Promise.all(placesOf(folder).map((place) => place.end()));
  const state = readState(folder);
  if (state !== undefined) await removeCgroup(state.cgroup);
  unmountBelow(folder);
  removeFiles(folder);
  return true;
}

/** What is still making the cluster; not when it is we ourselves who could not. */
async function endStarter(folder: string): Promise<void> {
  const record = readRecord(starterFile(folder));
  if (record === undefined || record.pid === process.pid || !isThere(record)) return;
  process.kill(record.pid, 'SIGKILL');
  await eventually(() => {
    if (isThere(record)) throw new Error(`Process ${record.pid} is still making the cluster`);
  });
}

function placesOf(folder: string): Place[] {
  const places = placesFolder(folder);
  if (!existsSync(places)) return [];
  return readdirSync(places).map((name) => {
    const options = { folder: join(places, name), path: systemPath, endingFile: endingFile(folder) };
    return new Place(name, options);
  });
}

/** What tells the next one that there is more to remove goes last. */
function removeFiles(folder: string): void {
  const last = basename(endingFile(folder));
  for (const name of readdirSync(folder).filter((each) => each !== last))
    rmSync(join(folder, name), { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
}

/** Nothing of the cluster is mounted outside of its places. If something is all the same, what it shows must not be removed with the folder. */
function unmountBelow(folder: string): void {
  for (const path of mountsBelow(folder, readFileSync('/proc/self/mountinfo', 'utf8')).reverse())
    execFileSync('umount', ['--lazy', path]);
}

/** The mount points below a folder, in the order of mounting; `text` is that of mountinfo, where a blank is written `\040`. */
export function mountsBelow(folder: string, text: string): string[] {
  const points = text.split('\n').map((line) => line.split(' ')[4] ?? '');
  const plain = points.map((point) =>
    point.replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8))),
  );
  return plain.filter((point) => point.startsWith(`${folder}/`));
}
