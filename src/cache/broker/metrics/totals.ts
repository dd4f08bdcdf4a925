/** Adds up the reports of a cache's broker processes, so that no sum ever goes down. */
import type { CacheMirrorReport, CacheReport } from '../../cache-report.ts';

/** What is counted up in a mirror's report by each process for itself. */
type Counted = Pick<CacheMirrorReport, 'counters' | 'peers'>;

/**
 * The counts of one broker process over its restarts: what it had counted before it began anew is carried on. Without that a
 * sum over processes would fall when one of them restarts, and Prometheus would take all of it for new.
 */
export class ProcessTotals {
  #last: CacheReport | undefined;
  readonly #carried = new Map<string, Counted>();

  /** Takes what the process says now and returns it with what it said before its restarts. */
  take(report: CacheReport): CacheReport {
    for (const mirror of this.#last?.mirrors ?? []) {
      const next = report.mirrors.find(({ name }) => name === mirror.name);
      if (next !== undefined && next.counters.started !== mirror.counters.started) this.#carry(mirror);
    }
    this.#last = report;
    return this.total ?? report;
  }

  /** As of the last report; undefined before the first. */
  get total(): CacheReport | undefined {
    const report = this.#last;
    return report && { ...report, mirrors: report.mirrors.map((mirror) => this.#withCarried(mirror)) };
  }

  #carry(mirror: CacheMirrorReport): void {
    const { counters, peers } = this.#withCarried(mirror);
    this.#carried.set(mirror.name, { counters, peers });
  }

  #withCarried(mirror: CacheMirrorReport): CacheMirrorReport {
    const carried = this.#carried.get(mirror.name);
    return carried === undefined ? mirror : { ...mirror, ...addCounted(mirror, carried) };
  }
}

/** Takes the reports of all processes, the first of which also knows nginx and the disk, and returns the cache's. */
export function mergeReports(reports: readonly [CacheReport, ...CacheReport[]]): CacheReport {
  const [first, ...others] = reports;
  const mirrors = first.mirrors.map((mirror) =>
    others
      .flatMap((report) => report.mirrors.filter(({ name }) => name === mirror.name))
      .reduce(mergeMirror, mirror),
  );
  return { version: first.version, mirrors };
}

/** Adds what processes have counted that are wanted no more. */
export function withFormer(report: CacheReport, former: readonly CacheReport[]): CacheReport {
  const mirrors = report.mirrors.map((mirror) => {
    const theirs = former.flatMap((each) => each.mirrors.filter(({ name }) => name === mirror.name));
    return {
      ...mirror,
      ...theirs.reduce<Counted>((sum, { counters, peers }) => addCounted(sum, { counters, peers }), mirror),
    };
  });
  return { ...report, mirrors };
}

function mergeMirror(one: CacheMirrorReport, other: CacheMirrorReport): CacheMirrorReport {
  const expire = one.credentialsExpire ?? other.credentialsExpire;
  const withheld = one.credentialsWithheld ?? other.credentialsWithheld;
  const unusable = one.credentialsUnusable ?? other.credentialsUnusable;
  return {
    ...one,
    ...addCounted(one, other),
    upstream: lastAsked(one.upstream, other.upstream),
    credentials: one.credentials === 'present' ? 'present' : other.credentials,
    ...(expire !== undefined && { credentialsExpire: expire }),
    ...(withheld !== undefined && { credentialsWithheld: withheld }),
    ...(unusable !== undefined && { credentialsUnusable: unusable }),
    stale: { tags: one.stale.tags + other.stale.tags },
    hour: { bytes: one.hour.bytes, upstreamBytes: one.hour.upstreamBytes + other.hour.upstreamBytes },
  };
}

/** Whoever asked last knows best. The rate limit is the account's, whichever process saw it. */
function lastAsked(
  one: CacheMirrorReport['upstream'],
  other: CacheMirrorReport['upstream'],
): CacheMirrorReport['upstream'] {
  const [newer, older] = (one.asked ?? '') >= (other.asked ?? '') ? [one, other] : [other, one];
  const rateLimit = newer.rateLimit ?? older.rateLimit;
  return { ...newer, ...(rateLimit !== undefined && { rateLimit }) };
}

function addCounted(one: Counted, other: Counted): Counted {
  return { counters: addCounts(one.counters, other.counters), peers: addCounts(one.peers, other.peers) };
}

/** Adds numbers field by field, at any depth; whatever is no number is the first one's. */
function addCounts<T extends object>(one: T, other: T): T {
  const sum = { ...other, ...one } as Record<string, unknown>;
  for (const [key, value] of Object.entries(other)) {
    const own = sum[key];
    if (typeof own === 'number' && Object.hasOwn(one, key)) sum[key] = own + Number(value);
    else if (isObject(own) && isObject(value) && own !== value) sum[key] = addCounts(own, value);
  }
  return sum as T;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
