/** What is done about nodes beside the reconciler: agents are asked, and what they say is acted on after each round. */

import { NodeReports, type NodeReportsOptions } from './node-reports/node-reports.ts';
import type { Obstacle } from './registry-mirror/finding.ts';
import { RestartPermits } from './restarts/restart-permits.ts';
import type { Views } from './views.ts';

export interface NodeWorkOptions extends Omit<NodeReportsOptions, 'afterRound' | 'awaited'> {
  readonly views: Views;
}

export class NodeWork {
  readonly reports: NodeReports;
  readonly #restarts: RestartPermits;

  constructor(options: NodeWorkOptions) {
    this.reports = new NodeReports({
      ...options,
      afterRound: (signal) => this.#act(signal),
      awaited: () => this.#restarts.awaited(),
    });
    const { mirrors } = options.views;
    this.#restarts = new RestartPermits({ ...options, mirrors, reports: this.reports });
  }

  /** What a person must know of this mirror's nodes. */
  obstacles(mirror: string): readonly Obstacle[] {
    return this.#restarts.obstacles(mirror);
  }

  /** Works until `signal` is aborted; never rejects. */
  run(signal: AbortSignal): Promise<void> {
    return this.reports.run(signal);
  }

  async #act(signal: AbortSignal): Promise<void> {
    await this.#restarts.give(signal);
  }
}
