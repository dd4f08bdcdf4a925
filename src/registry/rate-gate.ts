/**
 * What is not asked again after a 429. Only what was limited: a kind of request (its method and what it is for) at one
 * host. The repository that was refused is left alone as long as the host says, at most a minute. Whether a limit is the
 * repository's, the account's or the address's nobody says (Docker Hub does not limit all publishers), so other
 * repositories are still asked for, one after another; those for whom the queue is too long are refused for a moment.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BoundedMap } from './bounded-map.ts';
import { elapsedMs } from './elapsed.ts';
import { UpstreamStatusError } from './upstream-error.ts';

export interface LimitedRequest {
  /** Named in the error. */
  readonly host: string;
  /** What limits are put on, the host included. */
  readonly kind: string;
  /** Whose request it is: a repository, and for whom. */
  readonly subject: string;
}

/** The rest of a limit that lasts longer is found out by asking again. Milliseconds. */
const longestMs = 60_000;
/** For a 429 that says nothing of when. Milliseconds. */
const defaultMs = 2_000;
/** Between two requests for others while a limit holds, and how long one waits for its turn. Milliseconds. */
const gapMs = 200;
const queueMs = 1_000;

export class RateGate {
  readonly #now: () => number;
  readonly #shutUntil = new BoundedMap<string, number>(4096);
  readonly #paces = new BoundedMap<string, { until: number; next: number }>(256);

  constructor(now: () => number = elapsedMs) {
    this.#now = now;
  }

  /** Resolves when the request may be sent. Rejects with `UpstreamStatusError` 429 and the time that is left. */
  async pass(request: LimitedRequest, signal: AbortSignal): Promise<void> {
    this.#refuseShut(request);
    const pace = this.#paces.get(request.kind);
    const now = this.#now();
    if (pace === undefined || pace.until <= now) return;
    const wait = Math.max(0, pace.next - now);
    if (wait > queueMs) throw tooMany(request, wait);
    pace.next = now + wait + gapMs;
    if (wait === 0) return;
    await delay(wait, undefined, { signal });
    this.#refuseShut(request);
  }

  /** Notes a 429 and what its `Retry-After` said. */
  shut({ kind, subject }: LimitedRequest, retryAfterSeconds: number | undefined): void {
    const now = this.#now();
    const ms = retryAfterSeconds === undefined ? defaultMs : retryAfterSeconds * 1000;
    const until = now + Math.min(longestMs, ms);
    this.#shutUntil.set(keyOf(kind, subject), until);
    const pace = this.#paces.get(kind);
    this.#paces.set(kind, {
      until: Math.max(until, pace?.until ?? 0),
      next: Math.max(now + gapMs, pace?.next ?? 0),
    });
  }

  #refuseShut(request: LimitedRequest): void {
    const until = this.#shutUntil.get(keyOf(request.kind, request.subject)) ?? 0;
    const left = until - this.#now();
    if (left > 0) throw tooMany(request, left);
  }
}

function keyOf(kind: string, subject: string): string {
  return `${kind} ${subject}`;
}

function tooMany({ host }: LimitedRequest, leftMs: number): UpstreamStatusError {
  return new UpstreamStatusError(429, `${host}: too many requests, not asked again yet`, {
    retryAfterSeconds: Math.ceil(leftMs / 1000),
  });
}
