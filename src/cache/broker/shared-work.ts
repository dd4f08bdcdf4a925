/** Work that is done once for all who ask for it at the same time. */
import { waitFor } from '../../registry/wait-for.ts';
import { FailureMemory } from './failure-memory.ts';

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
  readonly #failures: FailureMemory;

  constructor(options: SharedWorkOptions) {
    this.#options = options;
    this.#failures = new FailureMemory(options.now);
  }

  /** Returns the result of the work under `key`. One who goes away (`signal`) does not end it for the others. */
  async run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#failures.throwKnown(key);
    const running = this.#running.get(key) ?? this.#start(key, work);
    return waitFor(running, signal);
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { limitMs, failureMs } = this.#options;
    const running = work(AbortSignal.timeout(limitMs)).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    running.catch((error: unknown) => this.#failures.note(key, error, failureMs));
    return running;
  }
}
