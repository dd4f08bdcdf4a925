/** What was asked of an upstream. */
import type { RateLimit } from './rate-limit.ts';

/** What was asked of an upstream so far; only ever counted up, but for the rate limit. */
export interface UpstreamCounters {
  requests: number;
  /** By class of the answer's status (`2xx`), with `429` apart, and `error` where there was none. */
  readonly byStatus: Record<string, number>;
  /** As the upstream last told it. */
  rateLimit?: RateLimit;
  bytes: number;
  tokens: number;
  redirects: number;
  retries: number;
}

/** Nothing asked yet. */
export function zeroCounters(): UpstreamCounters {
  return { requests: 0, byStatus: {}, bytes: 0, tokens: 0, redirects: 0, retries: 0 };
}
