/** What is known of a mirror's upstream: how it last answered, since when, and how much was asked of it. */
import { errorMessage } from '../../observe/error-message.ts';
import type { Logger } from '../../observe/log.ts';
import { type UpstreamCounters, zeroCounters } from '../../registry/upstream-counters.ts';
import { UpstreamError, type UpstreamFailure, UpstreamStatusError } from '../../registry/upstream-error.ts';
import type { CacheReportInput } from '../cache-report.ts';
import { LastHour } from './metrics/last-hour.ts';
import { StaleTags } from './metrics/stale-tags.ts';
import type { MirrorCredentials } from './mirror-credentials.ts';

/** How the upstream last answered; the reasons of the condition `UpstreamReachable`. */
export type UpstreamReason = (typeof upstreamReasons)[number];

export const upstreamReasons = [
  /** Not asked yet. One that was asked keeps its last reason, however long ago that was: nothing newer is known. */
  'Unknown',
  'Ok',
  'DNS',
  'Refused',
  'TLS',
  'Timeout',
  /** The connection ended before the answer did. */
  'Broken',
  /** Not what was asked for: wrong bytes, range or type, a redirect that may not be followed. */
  'BadAnswer',
  /** The token server gave no token. */
  'TokenServer',
  /** It was shown our credentials and would not take them. */
  'Unauthorized',
  'RateLimited',
  'ServerError',
  /** The egress proxy would not let us through. */
  'Proxy',
] as const;

/** One mirror of one broker process. Times are ISO 8601. */
export type MirrorReport = CacheReportInput['mirrors'][number];

const reasonOf: Readonly<Record<UpstreamFailure, UpstreamReason>> = {
  dns: 'DNS',
  refused: 'Refused',
  tls: 'TLS',
  timeout: 'Timeout',
  broken: 'Broken',
  proxy: 'Proxy',
  redirect: 'BadAnswer',
  token: 'TokenServer',
  answer: 'BadAnswer',
  digest: 'BadAnswer',
};

/** A rate limit without a stated end counts for this long. Milliseconds. */
const rateLimitMs = 60_000;

export class MirrorStatus {
  readonly counters: UpstreamCounters = zeroCounters();
  /** What was asked of other replicas instead. */
  readonly peers = { requests: 0, bytes: 0, failures: 0 };
  readonly staleTags: StaleTags;
  readonly #hour: LastHour;
  /** Upstream bytes that are in `#hour`. */
  #hourBytes = 0;
  readonly #log: Logger;
  readonly #now: () => number;
  #reason: UpstreamReason = 'Unknown';
  #since: number;
  readonly #started: string;
  #asked: number | undefined;
  #message: string | undefined;
  #withheldFrom: string | undefined;
  #until: number | undefined;
  /** Until when only a manifest that was downloaded can show that a rate limit is over. */
  #limitedUntil = 0;

  constructor(log: Logger, now: () => number = Date.now) {
    this.#log = log;
    this.#now = now;
    this.#since = now();
    this.#started = new Date(this.#since).toISOString();
    this.staleTags = new StaleTags(now);
    this.#hour = new LastHour(now);
  }

  /**
   * Notes what came of one request: no error for success, else what it failed with. Logs changes only. `object` is
   * what was asked for: registries limit downloads of manifests, so that nothing else says that a limit is over.
   */
  note(error?: unknown, object?: 'blob' | 'manifest' | 'head' | 'list'): void {
    this.#noteBytes();
    const reason = reasonFor(error);
    if (reason === undefined) return;
    this.#asked = this.#now();
    if (reason === 'Ok' && object !== 'manifest' && this.#asked < this.#limitedUntil) return;
    this.#message = reason === 'Ok' ? undefined : errorMessage(error);
    const retryAfter = error instanceof UpstreamStatusError ? error.retryAfterSeconds : undefined;
    this.#until = retryAfter === undefined ? undefined : this.#asked + retryAfter * 1000;
    this.#limitedUntil = reason === 'RateLimited' ? (this.#until ?? this.#asked + rateLimitMs) : 0;
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#since = this.#asked;
    if (reason === 'Ok') this.#log.info({ reason }, 'Upstream answered');
    else this.#log.warn({ reason, detail: this.#message }, 'Upstream failed');
  }

  /** Notes which token server was asked last for somebody who has credentials, and whether it was shown them. Logs changes only. */
  noteTokenServer(host: string, shown: boolean): void {
    const withheldFrom = shown ? undefined : host;
    if (withheldFrom === this.#withheldFrom) return;
    this.#withheldFrom = withheldFrom;
    if (!shown) this.#log.warn({ realm: host }, 'Credentials withheld from a token server of another domain');
  }

  report(name: string, credentials: Pick<MirrorCredentials, 'present' | 'expire' | 'fault'>): MirrorReport {
    const [expire, fault] = [credentials.expire(), credentials.fault()];
    this.#noteBytes();
    const { rateLimit, ...counters } = this.counters;
    return {
      name,
      upstream: {
        reason: this.#reason,
        since: new Date(this.#since).toISOString(),
        ...(this.#message !== undefined && { message: this.#message }),
        ...(this.#until !== undefined && { until: new Date(this.#until).toISOString() }),
        ...(this.#asked !== undefined && { asked: new Date(this.#asked).toISOString() }),
        ...(rateLimit !== undefined && { rateLimit }),
      },
      credentials: credentials.present() ? 'present' : 'none',
      ...(expire !== undefined && { credentialsExpire: new Date(expire).toISOString() }),
      ...(this.#withheldFrom !== undefined && { credentialsWithheld: this.#withheldFrom }),
      ...(fault !== undefined && { credentialsUnusable: fault }),
      counters: { started: this.#started, ...counters, byStatus: { ...counters.byStatus } },
      hour: { upstreamBytes: this.#hour.total() },
      stale: { tags: this.staleTags.count() },
      peers: { ...this.peers },
    };
  }

  #noteBytes(): void {
    this.#hour.add(this.counters.bytes - this.#hourBytes);
    this.#hourBytes = this.counters.bytes;
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
