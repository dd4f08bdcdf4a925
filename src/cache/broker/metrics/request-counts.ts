/** What clients asked of the mirrors, counted from nginx's lines: for Prometheus and for the report. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { CacheReportInput } from '../../cache-report.ts';
import { LastHour } from './last-hour.ts';
import { parseRequestLine, type RequestLine } from './request-line.ts';

type Mirrors = () => readonly { readonly name: string }[];
type MirrorReport = CacheReportInput['mirrors'][number];

/** The part of a mirror's report that nginx's lines tell. */
export type ClientReport = Required<Pick<MirrorReport, 'requests'>> &
  Pick<MirrorReport, 'lastPull'> & { readonly hourBytes: number };

/** A miss of a large layer takes minutes; a hit of a manifest a millisecond. Seconds. */
const totalBuckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const firstByteBuckets = [0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Of nearly all bytes. Told from the start: of a series that begins with a gigabyte Prometheus does not see that it came. */
const blobBytes = ['plain', 'fallback', 'local'].flatMap((address) =>
  ['hit', 'miss'].map((cache) => ({ address, object: 'blob', cache })),
);

interface Pulls {
  total: number;
  readonly byStatus: Record<string, number>;
  bytes: number;
  lastPull: number | undefined;
  readonly hour: LastHour;
}

export class RequestCounts {
  readonly #mirrors: Mirrors;
  readonly #now: () => number;
  readonly #pulls = new Map<string, Pulls>();
  readonly #metrics: ReturnType<typeof requestMetrics>;

  /** `mirrors`: those that there are, so that nobody can make up labels. */
  constructor(options: { registry: Registry; mirrors: Mirrors; now?: () => number }) {
    this.#mirrors = options.mirrors;
    this.#now = options.now ?? Date.now;
    this.#metrics = requestMetrics(options.registry, options.mirrors);
  }

  /** Counts one line of the log. */
  take(text: string): void {
    const line = parseRequestLine(text);
    if (line === undefined) {
      this.#metrics.unreadable.inc();
      return;
    }
    const mirror = this.#mirrors().some(({ name }) => name === line.mirror) ? line.mirror : '';
    this.#observe(mirror, line);
    if (mirror !== '' && isClient(line)) this.#count(this.#pullsOf(mirror), line);
  }

  report(mirror: string): ClientReport {
    const { total, byStatus, bytes, lastPull, hour } = this.#pullsOf(mirror);
    return {
      requests: { total, byStatus: { ...byStatus }, bytes },
      ...(lastPull !== undefined && { lastPull: new Date(lastPull).toISOString() }),
      hourBytes: hour.total(),
    };
  }

  #observe(mirror: string, line: RequestLine): void {
    const { address, object, cache, status, bytes, seconds, brokerSeconds } = line;
    const { requests, sent, responses, total, firstByte } = this.#metrics;
    requests.inc({ mirror, address, object, cache });
    sent.inc({ mirror, address, object, cache }, bytes);
    responses.inc({ mirror, address, status });
    // What replicas and the pod itself ask for says nothing of how long a client waits.
    if (!isClient(line)) return;
    total.observe({ mirror, cache }, seconds);
    if (brokerSeconds !== undefined) firstByte.observe({ mirror, cache }, brokerSeconds);
  }

  #count(pulls: Pulls, line: RequestLine): void {
    pulls.total++;
    pulls.byStatus[line.cache] = (pulls.byStatus[line.cache] ?? 0) + 1;
    pulls.bytes += line.bytes;
    pulls.hour.add(line.bytes);
    if (line.status < 300 && isImage(line)) pulls.lastPull = Math.max(line.at, pulls.lastPull ?? 0);
  }

  #pullsOf(mirror: string): Pulls {
    const known = this.#pulls.get(mirror);
    if (known !== undefined) return known;
    const pulls = { total: 0, byStatus: {}, bytes: 0, lastPull: undefined, hour: new LastHour(this.#now) };
    this.#pulls.set(mirror, pulls);
    return pulls;
  }
}

function isImage({ object }: RequestLine): boolean {
  return object === 'blob' || object === 'manifest' || object === 'tag';
}

function isClient({ address }: RequestLine): boolean {
  return address === 'plain' || address === 'fallback';
}

function requestMetrics(registry: Registry, mirrors: Mirrors) {
  const registers = [registry];
  const labels = ['mirror', 'address', 'object', 'cache'] as const;
  return {
    requests: new Counter({
      name: 'registry_mirror_requests_total',
      help: 'Requests by how the cache answered the first of their slices.',
      labelNames: labels,
      registers,
    }),
    sent: new Counter({
      name: 'registry_mirror_response_bytes_total',
      help: 'Bytes of bodies sent, by how the cache answered the first slice.',
      labelNames: labels,
      registers,
      collect() {
        for (const { name: mirror } of mirrors())
          for (const each of blobBytes) this.inc({ mirror, ...each }, 0);
      },
    }),
    responses: new Counter({
      name: 'registry_mirror_responses_total',
      help: 'Answers by HTTP status.',
      labelNames: ['mirror', 'address', 'status'] as const,
      registers,
    }),
    total: new Histogram({
      name: 'registry_mirror_request_duration_seconds',
      help: 'From the first byte of a client’s request to the last byte of its answer.',
      labelNames: ['mirror', 'cache'] as const,
      buckets: totalBuckets,
      registers,
    }),
    firstByte: new Histogram({
      name: 'registry_mirror_first_byte_seconds',
      help: 'What a client waited for the headers of an answer that the cache had to ask for.',
      labelNames: ['mirror', 'cache'] as const,
      buckets: firstByteBuckets,
      registers,
    }),
    unreadable: new Counter({
      name: 'registry_mirror_request_log_unreadable_lines_total',
      help: 'Lines of the request log that could not be counted.',
      registers,
    }),
  };
}
