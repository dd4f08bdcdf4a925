/**
 * What an nginx worker was fetching when it was killed. Its locks stay in nginx's shared memory, and whoever asks for such an object waits for
 * somebody who is gone; but a request that goes past the cache is stored as well, and storing ends the lock (docs/adr/0016-broker-processes.md).
 */
import type { IncomingHttpHeaders } from 'node:http';
import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage } from '../../observe/error-message.ts';
import type { Logger } from '../../observe/log.ts';
import { openLocalCache } from '../warm/local-cache.ts';
import { refreshHeader } from './peers/told.ts';

/** A request of nginx that it did not wait for the answer of. */
export interface LeftFill {
  readonly method: 'GET' | 'HEAD';
  readonly masquerade: string;
  /** Below the mirror: `library/nginx/blobs/sha256:...`. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface LeftFillsOptions {
  /** Where nginx serves its own pod. */
  readonly socketPath: () => string;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Before each try; nginx may be starting, the upstream be away. Milliseconds. */
const pausesMs = [0, 250, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];
/** By these nginx chooses key and slice, and the broker what it asks the upstream for. */
const repeated = ['range', 'accept', 'user-agent', 'authorization'] as const;

export class LeftFills {
  readonly #options: LeftFillsOptions;

  constructor(options: LeftFillsOptions) {
    this.#options = options;
  }

  /** Has nginx fetch it again. Resolves when it has, or when there is no use in trying on; never rejects. */
  async fetch(fill: LeftFill): Promise<void> {
    const { log, signal } = this.#options;
    if (isRepetition(fill.headers)) return;
    for (const pauseMs of pausesMs) {
      try {
        await delay(pauseMs, undefined, { signal });
        await this.#fetchOnce(fill);
        return log.info({ object: fill.path }, 'Fetched again what nginx let go of');
      } catch (error) {
        if (signal.aborted) return;
        log.debug(
          { object: fill.path, detail: errorMessage(error) },
          'What nginx let go of is not there yet',
        );
      }
    }
  }

  async #fetchOnce({ method, masquerade, path, headers }: LeftFill): Promise<void> {
    const { socketPath, signal } = this.#options;
    const cache = openLocalCache(socketPath(), masquerade);
    try {
      const answer = await cache.ask({ method, path, headers: repetitionOf(headers), signal });
      await finished(answer.resume());
    } finally {
      cache.close();
    }
  }
}

function repetitionOf(headers: IncomingHttpHeaders): Record<string, string> {
  const kept = repeated.flatMap((name) => {
    const value = headers[name];
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(kept), [refreshHeader]: '1' };
}

/** True for what `LeftFills` asked itself: it tries again by itself as well. */
function isRepetition(headers: IncomingHttpHeaders): boolean {
  return headers['x-address-kind'] === 'local' && headers[refreshHeader.toLowerCase()] !== undefined;
}
