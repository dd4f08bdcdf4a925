/**
 * The figures of a cache: nginx's request log, the broker's processes and the disk, for Prometheus and the operator. The main
 * file of this folder; run by the broker's first process only.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Registry } from 'prom-client';
import { errorMessage } from '../../../observe/error-message.ts';
import type { Logger } from '../../../observe/log.ts';
import { type CacheReport, type CacheReportInput, completeReport } from '../../cache-report.ts';
import { pause } from '../../pause.ts';
import type { BrokerConfig } from '../broker-config.ts';
import type { StoreReport } from '../store/store-report.ts';
import { registerCacheMetrics } from './cache-metrics.ts';
import { Gatherer } from './gather.ts';
import { LogFollower } from './log-follower.ts';
import { serveMetrics } from './metrics-server.ts';
import { RequestCounts } from './request-counts.ts';
import { storeFigures } from './store-figures.ts';

export interface MetricsOptions {
  /** The configuration in force. Where to listen and what to read is taken from it once. */
  readonly config: () => BrokerConfig;
  /** What this process knows of its upstreams. */
  readonly own: () => CacheReportInput;
  /** What is known of the disk; undefined until it was looked at. */
  readonly store: () => StoreReport | undefined;
  readonly log: Logger;
}

const pollMs = 1_000;
/** How often others are asked although nobody wants to know: a process may die, and with it what it counted since. */
const gatherMs = 15_000;
/** After this a port that is taken is tried again. */
const listenMs = 10_000;

/** Counts, and answers where the configuration says, until `signal` aborts. Never rejects: a cache without figures is a cache. */
export async function runMetrics(options: MetricsOptions, signal: AbortSignal): Promise<void> {
  const { config } = options;
  const { requestLog: file, nginxPidFile: pidFile } = config();
  const registry = new Registry();
  const counts = new RequestCounts({ registry, mirrors: () => config().mirrors });
  const follower = new LogFollower({ file, pidFile, log: options.log, onLine: (line) => counts.take(line) });
  const certificates = new Expiry(() => config().certificateFiles ?? []);
  const gatherer = new Gatherer({
    own: () => ownReport(options, counts, certificates.notAfter),
    others: () => config().sockets.slice(1),
  });
  if (config().metricsListen !== undefined) registerCacheMetrics(registry, () => gatherer.gather());
  const pages = {
    metrics: async () => ({ type: registry.contentType, text: await registry.metrics() }),
    status: async () => JSON.stringify((await gatherer.gather()).report),
  };
  await Promise.all([
    every(pollMs, signal, () => follower.poll()),
    every(gatherMs, signal, async () => {
      await certificates.look();
      await gatherer.gather();
    }),
    serve(options, pages, signal),
  ]);
}

/** What this process knows of its upstreams, with what nginx and the disk tell. */
function ownReport(
  options: MetricsOptions,
  counts: RequestCounts,
  notAfter: string | undefined,
): CacheReport {
  const report = options.own();
  const store = options.store();
  const mirrors = report.mirrors.map((mirror) => {
    const { hourBytes, ...asked } = counts.report(mirror.name);
    return {
      ...mirror,
      ...asked,
      hour: { ...mirror.hour, bytes: hourBytes },
      ...storeFigures(store, mirror.name),
      ...(notAfter !== undefined && { certificate: { notAfter } }),
    };
  });
  return completeReport({ ...report, mirrors });
}

async function serve(
  { config, log }: MetricsOptions,
  pages: Parameters<typeof serveMetrics>[1],
  signal: AbortSignal,
): Promise<void> {
  const address = config().metricsListen;
  while (address !== undefined && !signal.aborted) {
    try {
      const server = await serveMetrics(address, pages);
      log.info(address, 'Metrics served');
      await aborted(signal);
      server.close();
      server.closeAllConnections();
    } catch (error) {
      log.warn({ ...address, detail: errorMessage(error) }, 'Metrics cannot be served; tried again');
      await pause(listenMs, signal);
    }
  }
}

/** When the first of some certificates expires. */
class Expiry {
  readonly #files: () => readonly string[];
  notAfter: string | undefined;

  constructor(files: () => readonly string[]) {
    this.#files = files;
  }

  /** One that cannot be read is left out: nginx says so itself. */
  async look(): Promise<void> {
    const moments = await Promise.all(
      this.#files().map(async (file) => {
        try {
          return new X509Certificate(await readFile(file)).validToDate.getTime();
        } catch {
          return Number.POSITIVE_INFINITY;
        }
      }),
    );
    const first = Math.min(...moments);
    this.notAfter = Number.isFinite(first) ? new Date(first).toISOString() : undefined;
  }
}

async function every(ms: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  do await work();
  while (await pause(ms, signal));
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
