/** Work that is done once for all who ask for it at the same time. */
import { BoundedMap } from '../../registry/bounded-map.ts';
import { waitFor } from '../../registry/wait-for.ts';

export interface SharedWorkOptions {
  /** How long a piece of work may take, in milliseconds, whoever waits for it. */
  readonly limitMs: number;
  /** How long a failure stands for those who come after it, in milliseconds. */
  readonly failureMs: number;
  readonly now?: () => number;
}

export class SharedWork<T> {
  readonly #options: SharedWorkOptions;
  readonly #running = new Map<string, Promise<T>>();
  readonly #failures = new BoundedMap<string, { error: unknown; until: number }>(4096);

  constructor(options: SharedWorkOptions) {
    this.#options = options;
  }

  /** Returns the result of the work under `key`. One who goes away (`signal`) does not end it for the others. */
  async run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const failure = this.#failures.get(key);
    if (failure !== undefined && this.#now() < failure.until) throw failure.error;
    const running = this.#running.get(key) ?? this.#start(key, work);
    return waitFor(running, signal);
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { limitMs, failureMs } = this.#options;
    const running = work(AbortSignal.timeout(limitMs)).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    running.catch((error: unknown) => {
      if (failureMs > 0) this.#failures.set(key, { error, until: this.#now() + failureMs });
    });
    return running;
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }
}
