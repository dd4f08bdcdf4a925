/** Counts what a cache folder holds and finds what was used longest ago, in one walk, which takes what a dead nginx was writing with it. */
import { stat } from 'node:fs/promises';
import { forEachObject, removeFile } from './cache-folder.ts';

export interface AgedFile {
  readonly path: string;
  /** On disk. */
  readonly bytes: number;
  /** When it was last read or written; milliseconds since 1970. */
  readonly usedMs: number;
}

export interface Census {
  readonly bytes: number;
  readonly files: number;
  /** The files used longest ago, oldest first: not all, but enough until the next walk. */
  readonly oldest: AgedFile[];
}

/** How many candidates for eviction are remembered: 64 GiB of slices, 3 MB of memory. */
const remembered = 8192;

/** Longer than nginx waits for the next byte of anything (`proxy_read_timeout`): nobody writes that file any more. Milliseconds. */
const abandonedMs = 45 * 60_000;

/** Walks through `dir`; of a walk that `signal` ended the numbers are too small. */
export async function takeCensus(dir: string, signal: AbortSignal, limit = remembered): Promise<Census> {
  let [bytes, files] = [0, 0];
  let oldest: AgedFile[] = [];
  await forEachObject(dir, signal, async ({ path, temporary }) => {
    const found = await ageOf(temporary ?? path);
    if (found === undefined) return;
    // Of an nginx that was killed. Itself it passes over them when it starts, and does not count them.
    if (temporary !== undefined && Date.now() - found.usedMs > abandonedMs) return removeFile(temporary);
    bytes += found.bytes;
    if (temporary !== undefined) return;
    files += 1;
    oldest.push(found);
    if (oldest.length >= 2 * limit) oldest = first(oldest, limit);
  });
  return { bytes, files, oldest: first(oldest, limit) };
}

/** Undefined: it is gone. `noatime` leaves only the time of writing, `relatime` the day of the last use. */
export async function ageOf(path: string): Promise<AgedFile | undefined> {
  try {
    const { blocks, atimeMs, mtimeMs } = await stat(path);
    return { path, bytes: blocks * 512, usedMs: Math.max(atimeMs, mtimeMs) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function first(files: AgedFile[], limit: number): AgedFile[] {
  return files.sort((one, other) => one.usedMs - other.usedMs).slice(0, limit);
}
