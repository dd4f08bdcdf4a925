/** The operator's figures in the form of Prometheus, and what the conditions of mirrors say. Every replica tells what it has read; reconciles are the leader's. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Condition } from '../api/schema-parts.ts';
import type { KubeObject } from '../kube/object.ts';
import { registerProcessMetrics } from '../observe/process-metrics.ts';

/** `done`; `waiting` for something that is not there yet; `stalled` until a person acts; `failed`: tried again after a pause. */
export type ReconcileResult = 'done' | 'waiting' | 'stalled' | 'failed';

/** What is read when the figures are asked for. */
export interface OperatorState {
  readonly leading: () => boolean;
  readonly synced: () => boolean;
  readonly mirrors: () => readonly KubeObject[];
  /** Whether the API server was told of the rewriting webhook; undefined: images are not rewritten. */
  readonly webhookAnnounced: () => boolean | undefined;
}

/** The part of the work queue that is told of. */
export interface QueueFigures {
  readonly length: number;
  readonly failing: number;
}

const prefix = 'registry_mirror_operator';

export class OperatorMetrics {
  readonly #registry = new Registry();
  readonly #reconciles: Counter<'result'>;
  readonly #duration: Histogram;
  /** That of the term; none while another replica leads. */
  queue: QueueFigures | undefined;

  constructor(state: OperatorState) {
    const registers = [this.#registry];
    registerProcessMetrics(this.#registry);
    this.#reconciles = new Counter({
      name: `${prefix}_reconciles_total`,
      help: 'Times that something was looked at, by what came of it.',
      labelNames: ['result'] as const,
      registers,
    });
    this.#duration = new Histogram({
      name: `${prefix}_reconcile_duration_seconds`,
      help: 'How long that took.',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    for (const result of ['done', 'waiting', 'stalled', 'failed']) this.#reconciles.inc({ result }, 0);
    this.#gauge(`${prefix}_leading`, '1: this replica acts.', () => Number(state.leading()));
    this.#gauge(`${prefix}_synced`, '1: all that is watched was read.', () => Number(state.synced()));
    this.#gauge(`${prefix}_queue_length`, 'What waits for a worker.', () => this.queue?.length ?? 0);
    this.#gauge(
      `${prefix}_failing`,
      'What failed when it was last looked at and is tried again.',
      () => this.queue?.failing ?? 0,
    );
    this.#gauge(
      `${prefix}_webhook_announced`,
      '1: the API server was told of the rewriting webhook. Absent: images are not rewritten.',
      () => {
        const announced = state.webhookAnnounced();
        return announced === undefined ? undefined : Number(announced);
      },
    );
    this.#conditions(state.mirrors);
  }

  /** The text of all of it. */
  async text(): Promise<{ readonly type: string; readonly text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  reconciled(result: ReconcileResult, seconds: number): void {
    this.#reconciles.inc({ result });
    this.#duration.observe(seconds);
  }

  #conditions(mirrors: () => readonly KubeObject[]): void {
    new Gauge({
      name: 'registry_mirror_condition',
      help: 'Always 1: what status and reason a condition of a mirror has.',
      labelNames: ['mirror', 'condition', 'status', 'reason'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const mirror of mirrors()) {
          for (const { type, status, reason } of conditionsOf(mirror))
            this.set({ mirror: mirror.metadata.name, condition: type, status, reason }, 1);
        }
      },
    });
  }

  /** Without a value it has no series. */
  #gauge(name: string, help: string, of: () => number | undefined): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        const value = of();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  }
}

function conditionsOf({ status }: KubeObject): readonly Condition[] {
  return (status as { conditions?: readonly Condition[] } | undefined)?.conditions ?? [];
}
