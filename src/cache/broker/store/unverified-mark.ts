/** Since when blobs that came in slices may be unverified: kept on the volume, because the queue of them ends with the broker. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../../observe/log.ts';

/** A slice is written before it is told of. Milliseconds. */
const slackMs = 60_000;

export class UnverifiedMark {
  readonly #path: string;
  readonly #log: Logger;
  #isSet = false;
  /** Writes go one after the other. */
  #written: Promise<void> = Promise.resolve();

  /** `dir`: a folder of the broker's own on the volume of the cache. */
  constructor(dir: string, log: Logger) {
    this.#path = join(dir, 'unverified-since');
    this.#log = log;
  }

  /** What an earlier broker left, in milliseconds since the epoch; undefined: it was done. Whatever else the file holds, everything may be unverified. */
  async read(): Promise<number | undefined> {
    try {
      const since = Number(await readFile(this.#path, 'utf8'));
      this.#isSet = true;
      return Number.isSafeInteger(since) ? since : 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** From `now` on there are some; one that is set is from before. */
  set(now: number): void {
    if (this.#isSet) return;
    this.#isSet = true;
    this.#change(async () => {
      const next = `${this.#path}.new`;
      await writeFile(next, `${now - slackMs}\n`);
      await rename(next, this.#path);
    });
  }

  /** There are none. */
  clear(): void {
    if (!this.#isSet) return;
    this.#isSet = false;
    this.#change(() => rm(this.#path, { force: true }));
  }

  /** On a full disk nothing is noted: the next broker then verifies nothing of before. */
  #change(change: () => Promise<void>): void {
    this.#written = this.#written
      .then(change)
      .catch((error: unknown) => this.#log.warn({ error }, 'What is not verified yet was not noted'));
  }
}
