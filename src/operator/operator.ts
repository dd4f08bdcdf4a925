/**
 * The operator: watches, elects, and reconciles while it leads. The main file of this folder; used by `src/cli` only.
 * One folder per reconciled kind; what they share (views, certificates, keys) lies beside this file.
 */
import { randomUUID } from 'node:crypto';
import { imageswapConfigMap, sharedNodesName } from '../api/names.ts';
import type { OperatorSettings } from '../api/settings.ts';
import type { KubeClient } from '../kube/client.ts';
import { EventRecorder } from '../kube/events.ts';
import { LeaderElector } from '../kube/leader-election.ts';
import { WorkQueue } from '../kube/work-queue.ts';
import type { Logger } from '../observe/log.ts';
import { CacheReports, type CacheReportsOptions } from './cache-reports/cache-reports.ts';
import { warnOfCorruption } from './cache-reports/corruption.ts';
import { enqueueChanges } from './enqueue.ts';
import { reconcileMap } from './imageswap-map/reconcile.ts';
import { OperatorMetrics } from './metrics.ts';
import type { NodeReportsOptions } from './node-reports/node-reports.ts';
import { NodeWork } from './node-work.ts';
import { outcomeOf } from './outcome.ts';
import { MirrorReconciler } from './registry-mirror/reconcile.ts';
import { Rewriting } from './rewriting/rewriting.ts';
import { SharedNodes } from './shared-nodes/shared-nodes.ts';
import type { Views } from './views.ts';
import { Watches } from './watches.ts';
import { WritePace } from './write-pace.ts';

export interface OperatorOptions {
  readonly client: KubeClient;
  readonly settings: OperatorSettings;
  /** Name of this replica in the Lease; made unique here. */
  readonly identity: string;
  /** Upper bound of the pause before a lost list or watch is tried again. */
  readonly secondsBetweenStreams: number;
  readonly logger: Logger;
  /** How cache replicas are asked, where not as pods are in a cluster. */
  readonly polling?: Pick<CacheReportsOptions, 'fetchReport' | 'pauseMs'>;
  /** The same of node agents. */
  readonly agentPolling?: Pick<NodeReportsOptions, 'ask' | 'pauseMs'>;
}

const component = 'registry-mirror-operator';
const workers = 4;
/** Longest pause after failures: an API server that was away for an hour is met within a minute. */
const maxBackoffMs = 60_000;
/** Key of the imageswap map in the queue; no mirror's name has a slash. */
export const mapKey = `configmap/${imageswapConfigMap.name}`;
/** Key of the agents of all mirrors. */
const sharedNodesKey = `daemonset/${sharedNodesName}`;

/** One replica; start it with `run`. */
export class Operator {
  readonly #options: OperatorOptions;
  readonly #watches: Watches;
  readonly #rewriting: Rewriting | undefined;
  readonly #elector: LeaderElector;
  readonly #identity: string;
  readonly #metrics: OperatorMetrics;
  readonly #mapPace = new WritePace({ most: 10 });

  constructor(options: OperatorOptions) {
    const { client, settings, identity, secondsBetweenStreams, logger } = options;
    this.#options = options;
    this.#identity = `${identity}_${randomUUID().slice(0, 8)}`;
    this.#watches = new Watches({ client, settings, logger, maxPauseMs: secondsBetweenStreams * 1000 });
    this.#rewriting = rewritingOf(options, this.#watches.views);
    this.#elector = new LeaderElector({
      client,
      namespace: settings.namespace,
      name: component,
      identity: this.#identity,
      logger,
      onStartedLeading: (signal) => this.#lead(signal),
      onForbidden: (error) =>
        logger.warn({ error }, 'Not allowed to use Leases; working without, as the only replica'),
    });
    this.#metrics = new OperatorMetrics({
      leading: () => this.leading,
      synced: () => this.ready,
      mirrors: () => this.#watches.views.mirrors.list(),
      webhookAnnounced: () => this.#rewriting?.webhookAnnounced,
    });
  }

  /** True once every watched type was read. */
  get ready(): boolean {
    return this.#watches.synced && (this.#rewriting?.synced ?? true);
  }

  /** True while this replica acts. */
  get leading(): boolean {
    return this.#elector.leading;
  }

  /** The figures for Prometheus: the text and its type. */
  metrics(): Promise<{ readonly type: string; readonly text: string }> {
    return this.#metrics.text();
  }

  /** Runs until `signal` is aborted, then gives the lease back. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#watches.run(signal), this.#rewriting?.run(signal), this.#elector.run(signal)]);
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const { client, settings, logger } = this.#options;
    await this.#watches.whenSynced(signal).catch(() => undefined);
    if (signal.aborted) return;
    const { views } = this.#watches;
    const events = new EventRecorder({ client, component, instance: this.#identity, logger });
    const queue = new WorkQueue({ logger, maxMs: maxBackoffMs });
    const cacheReports = new CacheReports({
      endpointSlices: views.endpointSlices,
      changed: (mirror) => queue.add(mirror),
      corrupt: (mirror, found) => void warnOfCorruption(events, views.mirrors.get(mirror), found),
      logger,
      ...this.#options.polling,
    });
    const nodes = new NodeWork({
      ...{ client, settings, views, logger },
      changed: (mirror) => queue.add(mirror),
      listedSince: (mirror) => sharedNodes.listedSince(mirror),
      ...this.#options.agentPolling,
    });
    const changed = () => queue.add(sharedNodesKey);
    const agents = nodes.reports;
    const mirrorsKnown = () => this.#watches.mirrorsKnown;
    const obstaclesChanged = () => {
      for (const { metadata } of views.mirrors.list()) queue.add(metadata.name);
    };
    const sharedNodes = new SharedNodes({
      ...{ client, settings, views, logger },
      ...{ changed, agents, mirrorsKnown, obstaclesChanged },
    });
    const reconciler = new MirrorReconciler({
      ...{ client, settings, views, events, logger },
      sharedNodes,
      cacheReports,
      nodeReports: nodes.reports,
      nodeObstacles: (mirror) => nodes.obstacles(mirror),
    });
    const unsubscribe = enqueueChanges(views, settings, queue, { mapKey, sharedNodesKey });
    const rewriting = this.#rewriting?.lead(queue, events);
    const handle = (key: string, stop: AbortSignal) => {
      if (key === mapKey) return this.#reconcileMap(stop);
      const rewrite = rewriting?.handler(key);
      if (rewrite !== undefined) return rewrite(stop);
      return key === sharedNodesKey ? sharedNodes.reconcile(stop) : reconciler.reconcile(key, stop);
    };
    this.#metrics.queue = queue;
    try {
      const work = queue.run((key, stop) => this.#handle(queue, key, handle, stop), signal, { workers });
      await Promise.all([work, cacheReports.run(signal), nodes.run(signal)]);
    } finally {
      this.#metrics.queue = undefined;
      unsubscribe();
      rewriting?.end();
    }
  }

  async #handle(
    queue: WorkQueue,
    key: string,
    handle: (key: string, signal: AbortSignal) => Promise<number | undefined>,
    signal: AbortSignal,
  ): Promise<void> {
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    try {
      const afterMs = await handle(key, signal);
      queue.forget(key);
      if (afterMs !== undefined) queue.addAfter(key, afterMs);
      this.#metrics.reconciled('done', seconds());
    } catch (error) {
      if (!signal.aborted) this.#failed(queue, key, error, seconds());
    }
  }

  #failed(queue: WorkQueue, key: string, error: unknown, seconds: number): void {
    const { logger } = this.#options;
    const outcome = outcomeOf(error);
    this.#metrics.reconciled(outcome.kind === 'backoff' ? 'failed' : outcome.kind, seconds);
    switch (outcome.kind) {
      case 'waiting':
        logger.info({ key, reason: outcome.reason, message: outcome.message }, 'Waiting');
        queue.forget(key);
        queue.addAfter(key, outcome.afterMs);
        return;
      case 'stalled':
        logger.error({ key, error }, 'Stalled until a person acts');
        queue.forget(key);
        return;
      case 'backoff':
        logger.warn(
          { key, error, retryMs: Math.round(queue.retry(key)) },
          'Could not reconcile; trying again',
        );
    }
  }

  /** Skipped while the API server does not know our kind: the map must not shrink for that. */
  async #reconcileMap(signal: AbortSignal): Promise<undefined> {
    const { client, settings, logger } = this.#options;
    const { mirrors, services, configMaps } = this.#watches.views;
    if (!this.#watches.mirrorsKnown) return;
    const configMap = configMaps?.get(`${settings.imageswapNamespace}/${imageswapConfigMap.name}`);
    await reconcileMap(
      { mirrors: mirrors.list(), services: services.list(), configMap },
      { client, settings, logger, signal, pace: this.#mapPace },
    );
  }
}

function rewritingOf({ client, settings, secondsBetweenStreams, logger }: OperatorOptions, views: Views) {
  const { rewriting } = settings;
  if (rewriting === undefined) return undefined;
  const maxPauseMs = secondsBetweenStreams * 1000;
  return new Rewriting({ client, settings: { ...settings, rewriting }, views, maxPauseMs, logger });
}
