/**
 * What one replica of a cache says of itself at `GET /status`: written by its broker, polled by the operator. Holds no
 * secret. Only ever grows: what a reader does not know it ignores, what a writer does not know yet is absent or 0, so
 * that operator and caches of two versions understand each other.
 */
import { z } from 'zod';

/** Raised only when a field changes its meaning; `parseCacheReport` refuses what is newer than this. */
export const cacheReportVersion = 1;

const count = z.number().nonnegative();
const counter = count.default(0);
/** A moment in ISO 8601. */
const moment = z.iso.datetime();
const byName = z.record(z.string(), count).default({});

const upstream = z.object({
  /** One of `UpstreamReason` in broker/mirror-status.ts, or a newer one. `Ok`: it answered; `Unknown`: it was not asked yet. */
  reason: z.string(),
  /** When the reason became this one. */
  since: moment,
  message: z.string().optional(),
  /** Until when a rate limit holds, where the upstream said so. */
  until: moment.optional(),
  /** When it was last asked; a mirror that only hits keeps its last reason. */
  asked: moment.optional(),
  /** `ratelimit-limit` and `ratelimit-remaining` as last seen (Docker Hub); pulls in `windowSeconds`. */
  rateLimit: z.object({ limit: count, remaining: count, windowSeconds: count.optional() }).optional(),
});

const counters = z.object({
  /** When the counting began: with the process, or when the mirror was last changed. */
  started: moment.optional(),
  requests: counter,
  /** By class: `2xx`, `4xx`, ..., `429`, and `error` where there was no answer. */
  byStatus: byName,
  bytes: counter,
  tokens: counter,
  redirects: counter,
  retries: counter,
});

const cache = z.object({
  bytes: count,
  limitBytes: count,
  /** Of the volume. */
  freeBytes: count,
  objects: counter,
  /** False: misses pass through and are not kept; `reason` says why in one CamelCase word. */
  writable: z.boolean(),
  reason: z.string().optional(),
  message: z.string().optional(),
  /** How long the most recently used object that had to go in the last hour was not used. Small: the cache is too small. Seconds. */
  youngestEvictedSeconds: count.optional(),
});

const mirror = z.object({
  name: z.string().min(1),
  /** Mark of the configuration that is in force (configuration-mark.ts). */
  configuration: z.string().optional(),
  upstream,
  credentials: z.enum(['none', 'present']).default('none'),
  /** When the credentials expire, where they say so. */
  credentialsExpire: moment.optional(),
  /** The token server (`host[:port]`) that the upstream named last and that was not shown the credentials: it is in another domain. */
  credentialsWithheld: z.string().optional(),
  /** What is wrong with credentials that are mounted, without what is in them. */
  credentialsUnusable: z.string().optional(),
  counters: counters.prefault({}),
  /** Absent until the volume was looked at. */
  cache: cache.optional(),
  /** What clients asked; `byStatus` is how the cache answered: `hit`, `miss`, `stale`, ... */
  requests: z.object({ total: counter, byStatus: byName, bytes: counter }).prefault({}),
  /** When a client last got a manifest or blob. */
  lastPull: moment.optional(),
  /** The last hour: bytes to clients, and how many of them had to come from the upstream. */
  hour: z.object({ bytes: counter, upstreamBytes: counter }).prefault({}),
  /** Tags that are served although the upstream could not be asked whether they still stand. */
  stale: z.object({ tags: counter }).prefault({}),
  purges: counter,
  /** Cached objects that were compared with their digests. */
  scrub: z.object({ checked: counter, corrupt: counter, lastCorrupt: moment.optional() }).prefault({}),
  /** What was asked of other replicas instead of the upstream. */
  peers: z.object({ requests: counter, bytes: counter, failures: counter }).prefault({}),
  /** The certificate of nginx that expires first. */
  certificate: z.object({ notAfter: moment }).optional(),
});

const schema = z.object({
  version: z.number().int().min(1).max(cacheReportVersion),
  mirrors: z.array(mirror),
});

/** One replica's answer. Times are ISO 8601, sizes are bytes, counts are since the broker started. */
export type CacheReport = z.output<typeof schema>;
/** One mirror in it. */
export type CacheMirrorReport = CacheReport['mirrors'][number];
/** A report before its absent fields are filled in: what a broker may write. */
export type CacheReportInput = z.input<typeof schema>;

/** Takes a report as it was made and returns it with everything that a reader expects. */
export function completeReport(report: CacheReportInput): CacheReport {
  return schema.parse(report);
}

/** Takes the body of `GET /status`; throws `TypeError` that says what was expected. */
export function parseCacheReport(text: string): CacheReport {
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new TypeError(`cache report: ${faults.join('; ')}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TypeError('cache report: expected JSON', { cause: error });
  }
}
