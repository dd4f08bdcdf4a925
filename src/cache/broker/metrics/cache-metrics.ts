/** The figures of a cache that a report holds, in the form of Prometheus. What clients asked is in `request-counts.ts`. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { registerProcessMetrics } from '../../../observe/process-metrics.ts';
import type { CacheMirrorReport } from '../../cache-report.ts';
import { upstreamReasons } from '../mirror-status.ts';
import type { Gathered } from './gather.ts';

/** One metric with the labels `mirror` and at most one more, whose values come from a report. */
interface Figure {
  readonly name: string;
  readonly help: string;
  /** Counted up; otherwise it goes up and down. */
  readonly counts?: true;
  readonly label?: string;
  /** Absent: not known of this mirror. With a label, a value for each of its values. */
  readonly of: (mirror: CacheMirrorReport) => number | undefined | Readonly<Record<string, number>>;
}

const figures: readonly Figure[] = [
  {
    name: 'upstream_requests_total',
    help: 'Requests to the upstream and to where it redirects, by class of status; `error`: no answer.',
    counts: true,
    label: 'status',
    of: ({ counters }) => counters.byStatus,
  },
  counter('upstream_bytes_total', 'Bytes of objects that came from the upstream.', (m) => m.counters.bytes),
  counter('upstream_tokens_total', 'Requests to token servers.', (m) => m.counters.tokens),
  counter('upstream_redirects_total', 'Redirects that were followed.', (m) => m.counters.redirects),
  counter('upstream_retries_total', 'Requests that were sent again.', (m) => m.counters.retries),
  {
    name: 'upstream_state',
    help: 'How the upstream last answered: 1 for that reason.',
    label: 'reason',
    of: ({ upstream: { reason } }) => ({ ...noReason, [reason]: 1 }),
  },
  gauge('upstream_state_since_timestamp_seconds', 'When that became the reason.', (m) =>
    seconds(m.upstream.since),
  ),
  gauge('upstream_asked_timestamp_seconds', 'When the upstream was last asked.', (m) =>
    seconds(m.upstream.asked),
  ),
  gauge(
    'upstream_rate_limit',
    'Pulls the upstream allows in a window, as it says.',
    (m) => m.upstream.rateLimit?.limit,
  ),
  gauge(
    'upstream_rate_limit_remaining',
    'Pulls that are left of them.',
    (m) => m.upstream.rateLimit?.remaining,
  ),
  gauge(
    'stale_tags',
    'Tags served in the last minutes that the upstream could not be asked about.',
    (m) => m.stale.tags,
  ),
  gauge('last_pull_timestamp_seconds', 'When a client last got a manifest or blob.', (m) =>
    seconds(m.lastPull),
  ),
  counter('peer_requests_total', 'Requests to other replicas.', (m) => m.peers.requests),
  counter('peer_bytes_total', 'Bytes that came from other replicas.', (m) => m.peers.bytes),
  counter('peer_failures_total', 'Requests that another replica did not answer.', (m) => m.peers.failures),
  counter('purges_total', 'Purges that were asked for.', (m) => m.purges),
  {
    name: 'scrub_objects_total',
    help: 'Cached blobs that were compared with their digests.',
    counts: true,
    label: 'result',
    of: ({ scrub: { checked, corrupt } }) => ({ ok: checked - corrupt, corrupt }),
  },
  gauge('cache_bytes', 'Size of what is cached.', (m) => m.cache?.bytes),
  gauge(
    'cache_limit_bytes',
    'Size from which nginx removes what was used longest ago.',
    (m) => m.cache?.limitBytes,
  ),
  gauge('cache_free_bytes', 'What is free on the volume.', (m) => m.cache?.freeBytes),
  gauge('cache_objects', 'Files in the cache: manifests, tags, slices of blobs.', (m) => m.cache?.objects),
  gauge('cache_writable', '0: misses pass through and are not kept.', (m) =>
    m.cache === undefined ? undefined : Number(m.cache.writable),
  ),
  gauge(
    'cache_youngest_evicted_age_seconds',
    'For how long the most recently used object that had to go in the last hour was not used.',
    (m) => m.cache?.youngestEvictedSeconds,
  ),
  gauge('certificate_expiry_timestamp_seconds', 'When the served certificate expires.', (m) =>
    seconds(m.certificate?.notAfter),
  ),
  gauge('credentials_expiry_timestamp_seconds', 'When the credentials expire, if they say so.', (m) =>
    seconds(m.credentialsExpire),
  ),
];

const noReason = Object.fromEntries(upstreamReasons.map((reason) => [reason, 0]));

/** Registers all of it, this process's own figures and the build's; values come from `gather` whenever they are asked for. */
export function registerCacheMetrics(registry: Registry, gather: () => Promise<Gathered>): void {
  registerProcessMetrics(registry);
  for (const figure of figures) register(registry, figure, gather);
  const registers = [registry];
  new Gauge({
    name: 'registry_mirror_broker_processes',
    help: 'Broker processes there are to be, and those that answered.',
    labelNames: ['state'],
    registers,
    async collect() {
      const { processes, answering } = await gather();
      this.set({ state: 'wanted' }, processes);
      this.set({ state: 'answering' }, answering);
    },
  });
}

function register(registry: Registry, figure: Figure, gather: () => Promise<Gathered>): void {
  const { label } = figure;
  const options = {
    name: `registry_mirror_${figure.name}`,
    help: figure.help,
    labelNames: label === undefined ? ['mirror'] : ['mirror', label],
    registers: [registry],
  };
  // Emptied first: a mirror or a value that is gone has no series.
  async function collect(this: Gauge | Counter): Promise<void> {
    const { report } = await gather();
    this.reset();
    for (const mirror of report.mirrors) {
      for (const [value, amount] of valuesOf(figure, mirror)) {
        this.inc({ mirror: mirror.name, ...(label !== undefined && { [label]: value }) }, amount);
      }
    }
  }
  if (figure.counts) new Counter({ ...options, collect });
  else new Gauge({ ...options, collect });
}

function valuesOf({ of }: Figure, mirror: CacheMirrorReport): [string, number][] {
  const found = of(mirror);
  if (found === undefined) return [];
  return typeof found === 'number' ? [['', found]] : Object.entries(found);
}

function counter(name: string, help: string, of: Figure['of']): Figure {
  return { name, help, of, counts: true };
}

function gauge(name: string, help: string, of: Figure['of']): Figure {
  return { name, help, of };
}

function seconds(moment: string | undefined): number | undefined {
  return moment === undefined ? undefined : Date.parse(moment) / 1000;
}
