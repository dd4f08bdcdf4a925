/** What is known of a mirror's upstream: how it last answered, since when, and how much was asked of it. */
import { errorMessage } from '../../observe/error-message.ts';
import type { Logger } from '../../observe/log.ts';
import type { UpstreamCounters } from '../../registry/upstream-client.ts';
import { UpstreamError, type UpstreamFailure, UpstreamStatusError } from '../../registry/upstream-error.ts';

export type UpstreamReason =
  | 'Unknown'
  | 'Ok'
  | 'DNS'
  | 'Refused'
  | 'TLS'
  | 'Timeout'
  | 'Broken'
  | 'BadAnswer'
  | 'Unauthorized'
  | 'RateLimited'
  | 'ServerError';

/** One mirror in `GET /-/status`. Times are ISO 8601. */
export interface MirrorReport {
  readonly name: string;
  readonly upstream: {
    readonly reason: UpstreamReason;
    readonly since: string;
    readonly message?: string;
    /** Until when a rate limit holds, where the upstream said so. */
    readonly until?: string;
  };
  readonly credentials: 'none' | 'present';
  readonly counters: UpstreamCounters;
}

const reasonOf: Readonly<Record<UpstreamFailure, UpstreamReason>> = {
  dns: 'DNS',
  refused: 'Refused',
  tls: 'TLS',
  timeout: 'Timeout',
  broken: 'Broken',
  redirect: 'BadAnswer',
  token: 'BadAnswer',
  answer: 'BadAnswer',
  digest: 'BadAnswer',
};

export class MirrorStatus {
  readonly counters: UpstreamCounters = { requests: 0, bytes: 0, tokens: 0, redirects: 0, retries: 0 };
  readonly #log: Logger;
  readonly #now: () => number;
  #reason: UpstreamReason = 'Unknown';
  #since: number;
  #message: string | undefined;
  #until: number | undefined;

  constructor(log: Logger, now: () => number = Date.now) {
    this.#log = log;
    this.#now = now;
    this.#since = now();
  }

  /** Notes what came of one request: nothing for success, else what it failed with. Logs changes only. */
  note(error?: unknown): void {
    const reason = reasonFor(error);
    if (reason === undefined) return;
    this.#message = reason === 'Ok' ? undefined : errorMessage(error);
    const retryAfter = error instanceof UpstreamStatusError ? error.retryAfterSeconds : undefined;
    this.#until = retryAfter === undefined ? undefined : this.#now() + retryAfter * 1000;
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#since = this.#now();
    if (reason === 'Ok') this.#log.info({ reason }, 'Upstream answered');
    else this.#log.warn({ reason, detail: this.#message }, 'Upstream failed');
  }

  report(name: string, hasCredentials: boolean): MirrorReport {
    return {
      name,
      upstream: {
        reason: this.#reason,
        since: new Date(this.#since).toISOString(),
        ...(this.#message === undefined ? {} : { message: this.#message }),
        ...(this.#until === undefined ? {} : { until: new Date(this.#until).toISOString() }),
      },
      credentials: hasCredentials ? 'present' : 'none',
      counters: { ...this.counters },
    };
  }
}

/** Undefined: it says nothing about the upstream (the client went away, a fault of ours). */
function reasonFor(error: unknown): UpstreamReason | undefined {
  if (error === undefined) return 'Ok';
  if (error instanceof UpstreamError) return reasonOf[error.code];
  if (!(error instanceof UpstreamStatusError)) return undefined;
  if (error.credentialsRefused) return 'Unauthorized';
  if (error.status === 429) return 'RateLimited';
  // What does not exist, or is not for us, was answered by an upstream that is well.
  return error.status >= 500 ? 'ServerError' : 'Ok';
}
