/**
 * Elects one of several replicas through a Lease. Times are each replica's own monotonic clock's, so that skewed clocks
 * do no harm: another's lease has ended when *we* have seen no change of it for its duration.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../observe/log.ts';
import type { KubeClient } from './client.ts';
import { ApiError } from './errors.ts';
import { LeaseRecord } from './lease.ts';

export interface LeaderElectorOptions {
  client: KubeClient;
  namespace: string;
  name: string;
  /** Unique per process: the pod's name and something random. */
  identity: string;
  /**
   * The leader's work. It must end soon after `signal` is aborted: the lease is given back, or sought again, only then.
   * If it throws, so does `run`.
   */
  onStartedLeading: (signal: AbortSignal) => Promise<void> | void;
  /** Called after the work has ended. */
  onStoppedLeading?: () => void;
  /**
   * Leases are forbidden (the RBAC of an old installation, which has one replica): called once, then this replica works
   * without a lease and keeps asking for it.
   */
  onForbidden?: (error: ApiError) => void;
  logger?: Logger;
  random?: () => number;
  timing?: Partial<ElectionTiming>;
}

/** Milliseconds. `renewMs` < `deadlineMs` < `durationMs`; the last difference is what a slow stop may take. */
export interface ElectionTiming {
  /** What others wait for after our last renewal; a Lease counts whole seconds. */
  durationMs: number;
  /** A leader that could not renew for so long stops. */
  deadlineMs: number;
  renewMs: number;
  /** How often the others look, and how soon a failed renewal is tried again. */
  retryMs: number;
}

const defaultTiming: ElectionTiming = {
  durationMs: 15_000,
  deadlineMs: 10_000,
  renewMs: 5_000,
  retryMs: 2_000,
};
/** An API server that starts says 403 for a moment; only this many in a row are believed. */
const forbiddenUntilAlone = 3;

/** How an attempt to hold the lease ended: `other` is sure, `failed` is not known. */
type Attempt = 'held' | 'other' | 'failed' | 'forbidden';

/** One candidate; start it with `run`. */
export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #timing: ElectionTiming;
  readonly #lease: LeaseRecord;
  /** Until then no other can be the leader (performance.now()); Infinity while we work without a lease. */
  #goodUntil = 0;
  #forbidden = 0;
  #failing = false;
  #namedForbidden = false;

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#timing = { ...defaultTiming, ...options.timing };
    this.#lease = new LeaseRecord({ ...options, durationMs: this.#timing.durationMs });
  }

  /** True while no other replica can be the leader. */
  get leading(): boolean {
    return performance.now() < this.#goodUntil;
  }

  /** Contends, leads and contends again until `signal` is aborted, then gives the lease back. Rejects if the work did. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const attempt = await this.#attempt(this.#timing.deadlineMs / 2, signal);
      if (attempt === 'held' || this.#mayWorkAlone()) await this.#lead(signal);
      else await pause(this.#nextLookMs(), signal);
    }
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const { onStartedLeading, onStoppedLeading, identity, logger } = this.#options;
    const term = new AbortController();
    const working = AbortSignal.any([signal, term.signal]);
    logger?.info({ identity }, 'Became the leader');
    const work = Promise.resolve().then(() => onStartedLeading(working));
    // A failure of the work must not wait for the next renewal; what it throws because we stopped it is no failure.
    const ended = work.catch((error: unknown) => {
      if (working.aborted) return undefined;
      term.abort();
      throw error;
    });
    ended.catch(() => undefined);
    try {
      await this.#keep(term, working);
      await ended;
    } finally {
      if (this.leading) await this.#release();
      this.#goodUntil = 0;
      logger?.info({ identity }, 'Stopped leading');
      onStoppedLeading?.();
    }
  }

  /** Renews until `working` is aborted, which it does itself, at the deadline at the latest, when the lease is lost. */
  async #keep(term: AbortController, working: AbortSignal): Promise<void> {
    let waitMs = this.#timing.renewMs;
    while (!working.aborted) {
      await pause(Math.min(waitMs, this.#leftMs), working);
      if (working.aborted) return;
      // Half of what is left, so that a request nobody answers leaves time for another one.
      const attempt = await this.#attempt(Math.max(50, this.#leftMs / 2), working);
      if (attempt === 'other') this.#goodUntil = 0;
      if (!this.leading) term.abort(new Error('The lease is lost'));
      waitMs = this.#nextRenewalMs(attempt);
    }
  }

  #nextRenewalMs(attempt: Attempt): number {
    if (attempt === 'held') return this.#timing.renewMs;
    return this.#goodUntil === Number.POSITIVE_INFINITY ? this.#timing.durationMs * 2 : this.#timing.retryMs;
  }

  async #attempt(limitMs: number, signal: AbortSignal): Promise<Attempt> {
    const limit = AbortSignal.timeout(Math.ceil(Math.min(limitMs, this.#timing.deadlineMs)));
    const started = performance.now();
    try {
      const held = await this.#lease.hold(AbortSignal.any([signal, limit]));
      this.#failing = false;
      this.#forbidden = 0;
      if (!held) return 'other';
      // Counted from before the request: others count from when they saw its effect.
      this.#goodUntil = started + this.#timing.deadlineMs;
      return 'held';
    } catch (error) {
      return signal.aborted ? 'failed' : this.#failed(error);
    }
  }

  #failed(error: unknown): Attempt {
    const { logger, onForbidden, name } = this.#options;
    if (!this.#failing) logger?.warn({ error, lease: name }, 'Could not read or write the lease');
    this.#failing = true;
    if (!(error instanceof ApiError) || !error.forbidden) {
      this.#forbidden = 0;
      return 'failed';
    }
    this.#forbidden += 1;
    if (this.#seemsOld && !this.#namedForbidden) {
      this.#namedForbidden = true;
      onForbidden?.(error);
    }
    return 'forbidden';
  }

  /** Rights that are taken away for a while are no old installation: another replica may hold the lease. */
  get #seemsOld(): boolean {
    return this.#forbidden >= forbiddenUntilAlone && !this.#lease.wasSeen;
  }

  #mayWorkAlone(): boolean {
    if (!this.#seemsOld) return false;
    this.#goodUntil = Number.POSITIVE_INFINITY;
    return true;
  }

  async #release(): Promise<void> {
    try {
      await this.#lease.release(AbortSignal.timeout(this.#timing.retryMs));
    } catch (error) {
      this.#options.logger?.warn({ error, lease: this.#options.name }, 'Could not give back the lease');
    }
  }

  get #leftMs(): number {
    return Math.max(0, this.#goodUntil - performance.now());
  }

  /** At `retryMs` with jitter, but not later than the moment another's lease ends. */
  #nextLookMs(): number {
    const { random = Math.random } = this.#options;
    const retryMs = this.#timing.retryMs * (1 + random() / 5);
    const endsInMs = this.#lease.endsInMs;
    return endsInMs > 0 ? Math.min(retryMs, endsInMs + random() * 50) : retryMs;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(Math.min(ms, 60_000), undefined, { signal }).catch(() => undefined);
}
