/** How often something is tried again, and how long it waits: bounded, and anew after progress. */
import { setTimeout as delay } from 'node:timers/promises';
import { WarmError } from './warm-error.ts';

export interface RetryLimits {
  /** Attempts that may fail one after another without progress. */
  readonly attempts: number;
  /** Doubles with each of them. Milliseconds. */
  readonly baseMs: number;
  readonly maxMs: number;
}

/** About 30 s in all: longer than the broker and nginx remember a failure (2 s), shorter than a person's patience. */
export const defaultRetryLimits: RetryLimits = { attempts: 6, baseMs: 500, maxMs: 15_000 };

/** Counts the failures of one object. */
export class Retries {
  readonly #limits: RetryLimits;
  readonly #signal: AbortSignal;
  readonly #onRetry: (error: WarmError) => void;
  #failures = 0;

  constructor(limits: RetryLimits, signal: AbortSignal, onRetry: (error: WarmError) => void) {
    this.#limits = limits;
    this.#signal = signal;
    this.#onRetry = onRetry;
  }

  progressed(): void {
    this.#failures = 0;
  }

  /** Resolves when it is time for another attempt; rejects with `error` when there is none to be made. */
  async wait(error: unknown): Promise<void> {
    this.#signal.throwIfAborted();
    const { attempts, baseMs, maxMs } = this.#limits;
    if (!(error instanceof WarmError) || !error.passing || ++this.#failures >= attempts) throw error;
    this.#onRetry(error);
    const backoff = baseMs * 2 ** (this.#failures - 1) * (1 - Math.random() / 2);
    const ms = Math.min(maxMs, Math.max(backoff, error.retryAfterMs ?? 0));
    await delay(ms, undefined, { signal: this.#signal });
  }
}
