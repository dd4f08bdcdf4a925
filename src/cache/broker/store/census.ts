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
  /** Complete files wherever they come in the order of age, the same ones in each walk while they are there: which of them go says what goes. */
  readonly sample: AgedFile[];
}

/** How many candidates for eviction are remembered: 64 GiB of slices, 3 MB of memory. */
const remembered = 8192;
/** How many are in the sample. Their names are hashes, so that the first names are anybody's. */
const sampled = 4096;

/** Longer than nginx waits for the next byte of anything (`proxy_read_timeout`): nobody writes that file any more. Milliseconds. */
const abandonedMs = 45 * 60_000;

/** Walks through `dir`; of a walk that `signal` ended the numbers are too small. */
export async function takeCensus(dir: string, signal: AbortSignal, limit = remembered): Promise<Census> {
  let [bytes, files] = [0, 0];
  const oldest = new FirstFew(limit, (one, other) => one.usedMs - other.usedMs);
  const sample = new FirstFew(Math.min(limit, sampled), (one, other) => (one.path < other.path ? -1 : 1));
  await forEachObject(dir, signal, async ({ path, temporary }) => {
    const found = await ageOf(temporary ?? path);
    if (found === undefined) return;
    // Of an nginx that was killed. Itself it passes over them when it starts, and does not count them.
    if (temporary !== undefined && Date.now() - found.usedMs > abandonedMs) return removeFile(temporary);
    bytes += found.bytes;
    if (temporary !== undefined) return;
    files += 1;
    oldest.add(found);
    sample.add(found);
  });
  return { bytes, files, oldest: oldest.take(), sample: sample.take() };
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

/** Of files that come one by one, those that are first in some order. */
class FirstFew {
  readonly #limit: number;
  readonly #order: (one: AgedFile, other: AgedFile) => number;
  #files: AgedFile[] = [];

  constructor(limit: number, order: (one: AgedFile, other: AgedFile) => number) {
    this.#limit = limit;
    this.#order = order;
  }

  add(file: AgedFile): void {
    this.#files.push(file);
    if (this.#files.length >= 2 * this.#limit) this.#files = this.take();
  }

  take(): AgedFile[] {
    return this.#files.sort(this.#order).slice(0, this.#limit);
  }
}
