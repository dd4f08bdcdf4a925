/** Follows `IMAGESWAP_MAPS_FILE`, which may be a mounted ConfigMap: looked at every second, because links are exchanged under it. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../observe/log.ts';

export interface MapFileOptions {
  readonly file: string;
  /** Told each new content; undefined while there is no file. */
  readonly changed: (text: string | undefined) => void;
  readonly logger: Logger;
  readonly everyMs?: number;
}

export class MapFile {
  readonly #options: MapFileOptions;
  #read = false;
  #text: string | undefined;
  #fault: string | undefined;

  constructor(options: MapFileOptions) {
    this.#options = options;
  }

  /** True once the file was read, or is known to be missing. */
  get read(): boolean {
    return this.#read;
  }

  /** Follows the file until `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#look();
      await delay(this.#options.everyMs ?? 1_000, undefined, { signal }).catch(() => undefined);
    }
  }

  /** A file that cannot be read leaves the rules that were read; only a missing one has none. */
  async #look(): Promise<void> {
    const { file, changed, logger } = this.#options;
    try {
      const text = await readFile(file, 'utf8').catch(undefinedIfMissing);
      this.#fault = undefined;
      if (text === undefined && !this.#read)
        logger.warn({ file }, 'The imageswap map is missing; waiting for it');
      if (text !== this.#text) changed(text);
      this.#text = text;
      this.#read = true;
    } catch (error) {
      const fault = String(error);
      if (fault !== this.#fault) logger.error({ file, error }, 'Could not read the imageswap map');
      this.#fault = fault;
    }
  }
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
