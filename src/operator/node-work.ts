/** What is done about nodes beside the reconciler: agents are asked, and what they say is acted on after each round. */

import type { KubeClient } from '../kube/client.ts';
import type { Logger } from '../observe/log.ts';
import { NodeReports, type NodeReportsOptions } from './node-reports/node-reports.ts';
import type { Obstacle } from './registry-mirror/finding.ts';
import { RestartPermits } from './restarts/restart-permits.ts';
import { StartupTaints } from './startup-taints/startup-taints.ts';
import type { Views } from './views.ts';

export interface NodeWorkOptions extends Omit<NodeReportsOptions, 'afterRound' | 'awaited'> {
  readonly client: KubeClient;
  readonly views: Views;
}

export class NodeWork {
  readonly reports: NodeReports;
  readonly #logger: Logger;
  readonly #restarts: RestartPermits;
  readonly #taints: StartupTaints;

  constructor(options: NodeWorkOptions) {
    this.reports = new NodeReports({
      ...options,
      afterRound: (signal) => this.#act(signal),
      awaited: () => this.#restarts.awaited(),
    });
    const { mirrors } = options.views;
    this.#logger = options.logger;
    this.#restarts = new RestartPermits({ ...options, mirrors, reports: this.reports });
    this.#taints = new StartupTaints({ ...options, mirrors, reports: this.reports });
  }

  /** What a person must know of this mirror's nodes. */
  obstacles(mirror: string): readonly Obstacle[] {
    return [...this.#restarts.obstacles(mirror), ...this.#taints.obstacles(mirror)];
  }

  /** Works until `signal` is aborted; never rejects. */
  run(signal: AbortSignal): Promise<void> {
    return this.reports.run(signal);
  }

  async #act(signal: AbortSignal): Promise<void> {
    await this.#try('Could not remove startup taints', signal, () => this.#taints.remove(signal));
    await this.#try('Could not allow restarts', signal, () => this.#restarts.give(signal));
  }

  /** What goes wrong with one keeps nothing else from being done; the next round tries again. */
  async #try(message: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) this.#logger.warn({ error }, message);
    }
  }
}
