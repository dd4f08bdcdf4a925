/**
 * Which keys have to be looked at: each once however often it was added, never by two workers at a time, later after a
 * failure. The reconciler gets a key, never an event.
 */
import type { Logger } from '../observe/log.ts';
import { aborted } from './aborted.ts';
import { backoffMs } from './backoff.ts';

/** The timers a queue needs; tests pass their own. */
export interface Timers {
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface WorkQueueOptions {
  /** First pause of `retry`, doubled with each failure (default 200 ms). */
  baseMs?: number;
  /** Longest pause of `retry` (default 5 min). */
  maxMs?: number;
  random?: () => number;
  timers?: Timers;
  logger?: Logger;
}

export interface RunOptions {
  /** Keys handled at the same time (default 4). */
  workers?: number;
  /** How long `run` waits for running handlers once the signal is aborted (default 10 s). */
  drainMs?: number;
}

/** Handles one key. A handler that throws is called again with backoff; `signal` is the one given to `run`. */
export type Handler = (key: string, signal: AbortSignal) => Promise<void>;

interface Delayed {
  timer: unknown;
  dueAt: number;
}

const systemTimers: Timers = {
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};
/** Above it Node fires at once; a later time is reached by looking once in between (24.8 days). */
const longestTimerMs = 2 ** 31 - 1;

/** A queue of keys with its workers; lives until its `run` is aborted. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #timers: Timers;
  /** In the order they were added. */
  readonly #ready = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  /** Added while running: to be done once more afterwards. */
  readonly #dirty = new Set<string>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #failures = new Map<string, number>();
  #start: (() => void) | undefined;
  #stopped = false;

  constructor(options: WorkQueueOptions = {}) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
  }

  /** Keys that wait for a worker now. */
  get length(): number {
    return this.#ready.size + this.#dirty.size;
  }

  /** Keys that failed when they were last handled. */
  get failing(): number {
    return this.#failures.size;
  }

  /** True when nothing is ready and nothing runs; delayed keys do not count. */
  get idle(): boolean {
    return this.length === 0 && this.#running.size === 0;
  }

  /** Asks for the key to be handled now, or once more after the handler that runs for it. A delay it had is over. */
  add(key: string): void {
    if (this.#stopped) return;
    this.#cancelDelay(key);
    if (this.#running.has(key)) {
      this.#dirty.add(key);
      return;
    }
    this.#ready.add(key);
    this.#start?.();
  }

  /** Asks for the key in `ms` milliseconds; of several such calls the earliest counts. */
  addAfter(key: string, ms: number): void {
    if (this.#stopped) return;
    if (!(ms > 0)) {
      this.add(key);
      return;
    }
    const dueAt = performance.now() + ms;
    const known = this.#delayed.get(key);
    if (known !== undefined && known.dueAt <= dueAt) return;
    this.#cancelDelay(key);
    const timer = this.#timers.setTimeout(() => this.add(key), Math.min(ms, longestTimerMs));
    this.#delayed.set(key, { timer, dueAt });
  }

  /** Counts a failure of the key and asks for it after its backoff, which it returns (ms). */
  retry(key: string): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const { baseMs = 200, maxMs = 300_000, random } = this.#options;
    const ms = backoffMs(failures, { baseMs, maxMs, ...(random === undefined ? {} : { random }) });
    this.addAfter(key, ms);
    return ms;
  }

  /** Forgets the key's failures: its next `retry` is quick again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Failures of the key since `forget`. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Handles keys until `signal` is aborted; resolves with whether all handlers ended within `drainMs`. Call it once. */
  async run(handler: Handler, signal: AbortSignal, options: RunOptions = {}): Promise<boolean> {
    const { workers = 4, drainMs = 10_000 } = options;
    this.#start = () => this.#fill(handler, signal, workers);
    this.#start();
    await aborted(signal);
    this.#stop();
    return this.#drain(drainMs);
  }

  #fill(handler: Handler, signal: AbortSignal, workers: number): void {
    for (const key of this.#ready) {
      if (this.#running.size >= workers || this.#stopped) return;
      this.#ready.delete(key);
      this.#running.set(key, this.#handle(handler, key, signal));
    }
  }

  async #handle(handler: Handler, key: string, signal: AbortSignal): Promise<void> {
    // Not in the caller's stack: `add` is called by the store while it tells its other listeners.
    await Promise.resolve();
    try {
      await handler(key, signal);
    } catch (error) {
      if (!signal.aborted) {
        this.#options.logger?.error({ error, key }, 'Handler of a work queue failed');
        this.retry(key);
      }
    }
    this.#running.delete(key);
    if (this.#dirty.delete(key)) this.add(key);
    this.#start?.();
  }

  #stop(): void {
    this.#stopped = true;
    this.#start = undefined;
    for (const { timer } of this.#delayed.values()) this.#timers.clearTimeout(timer);
    this.#delayed.clear();
    this.#ready.clear();
    this.#dirty.clear();
  }

  async #drain(ms: number): Promise<boolean> {
    if (this.#running.size === 0) return true;
    const { promise: tooLate, resolve } = Promise.withResolvers<boolean>();
    const timer = this.#timers.setTimeout(() => resolve(false), ms);
    const drained = Promise.all(this.#running.values()).then(() => true);
    return Promise.race([drained, tooLate]).finally(() => this.#timers.clearTimeout(timer));
  }

  #cancelDelay(key: string): void {
    const delayed = this.#delayed.get(key);
    if (delayed === undefined) return;
    this.#timers.clearTimeout(delayed.timer);
    this.#delayed.delete(key);
  }
}
