/** Failures that stand for a moment, so that those who come one after another are answered without asking anew. */
import { BoundedMap } from '../../registry/bounded-map.ts';
import { elapsedMs } from '../../registry/elapsed.ts';

export class FailureMemory {
  readonly #now: () => number;
  readonly #failures = new BoundedMap<string, { error: unknown; until: number }>(4096);

  constructor(now: () => number = elapsedMs) {
    this.#now = now;
  }

  /** Throws the failure that stands under `key`, if there is one. */
  throwKnown(key: string): void {
    const failure = this.#standing(key);
    if (failure !== undefined) throw failure.error;
  }

  has(key: string): boolean {
    return this.#standing(key) !== undefined;
  }

  #standing(key: string): { error: unknown } | undefined {
    const failure = this.#failures.get(key);
    if (failure === undefined || this.#now() < failure.until) return failure;
    this.#failures.delete(key);
    return undefined;
  }

  /** Lets `error` stand under `key` for so many milliseconds; 0: not at all. */
  note(key: string, error: unknown, ms: number): void {
    if (ms > 0) this.#failures.set(key, { error, until: this.#now() + ms });
  }
}
