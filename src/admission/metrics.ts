/** The webhook's figures in the form of Prometheus. */
import { Gauge, Histogram, Registry } from 'prom-client';
import { type RuleTable, type SourceName, sourceNames } from '../image/rules/table.ts';
import type { RuleSource } from '../image/settle.ts';
import { registerProcessMetrics } from '../observe/process-metrics.ts';
import { type Admission, isRewritten } from './admit.ts';
import { type ReviewPath, reviewPaths } from './paths.ts';
import { ruleCounts } from './rule-counts.ts';
import { Tally } from './tally.ts';

/** `optedOut`: by namespace, object or controller; `invalid`: no review that can be read; `failed`: by a fault of ours. */
export type ReviewResult = 'patched' | 'unchanged' | 'optedOut' | 'invalid' | 'failed';

/** What is read when the figures are asked for. */
export interface MetricsState {
  readonly synced: () => boolean;
  readonly certificateExpiry: () => Date | undefined;
  readonly table: () => RuleTable;
}

const prefix = 'registry_mirror_webhook';
const operations = new Set(['CREATE', 'UPDATE', 'DELETE', 'CONNECT']);
const sourceOf: Readonly<Record<RuleSource, SourceName>> = {
  ImageMap: 'imageMaps',
  'imageswap [EXACT]': 'imageswap',
  'imageswap [REPLACE]': 'imageswap',
  imageswap: 'imageswap',
  'imageswap LEGACY': 'imageswap',
  mirror: 'mirrors',
  gilly: 'gilly',
};

export class WebhookMetrics {
  readonly #registry = new Registry();
  readonly #reviews = this.#tally(
    'reviews_total',
    'Reviews that were answered; dry runs are not among them.',
    ['path', 'operation', 'result'],
  );
  readonly #dryRuns = this.#tally('dry_runs_total', 'Reviews of requests that change nothing.', []);
  readonly #images = this.#tally(
    'images_total',
    'Images that rules were asked for, by what became of them.',
    ['outcome', 'source'],
  );
  readonly #passedOver = this.#tally(
    'passed_over_total',
    'Objects that were left alone, and rules that did not apply to an image, by reason.',
    ['reason'],
  );
  readonly #warnings = this.#tally('warnings_total', 'Warnings that were given to users.', []);
  readonly #meetings = this.#tally(
    'meetings_total',
    'Times that images of several repositories came to have one name.',
    [],
  );
  readonly #unknownNamespaces = this.#tally(
    'namespace_unknown_total',
    'Times that the labels of a namespace could not be had; it counted as one without labels.',
    [],
  );
  readonly #duration = new Histogram({
    name: `${prefix}_duration_seconds`,
    help: 'From the head of a request to its answer.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.#registry],
  });

  constructor(state: MetricsState) {
    registerProcessMetrics(this.#registry);
    for (const { name, operations } of reviewPaths)
      for (const operation of operations) this.#reviews.expect(name, operation, 'failed');
    this.#gauge('synced', '1: all that rules are made of was read.', () => Number(state.synced()));
    this.#gauge(
      'certificate_expiry_timestamp_seconds',
      'When the served certificate expires; 0: there is none.',
      () => {
        return (state.certificateExpiry()?.getTime() ?? 0) / 1000;
      },
    );
    this.#gauge('map_faults', 'Lines of imageswap’s map of which something is wrong.', () => {
      return state.table().mapFaults.length;
    });
    this.#rules(state.table);
  }

  /** The text of all of it. */
  async text(): Promise<{ readonly type: string; readonly text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  review(path: ReviewPath, review: { operation: string; dryRun: boolean }, result: ReviewResult): void {
    const operation = operations.has(review.operation) ? review.operation : 'other';
    if (review.dryRun) this.#dryRuns.add();
    else this.#reviews.add(path.name, operation, result);
  }

  /** Images and reasons of a request that is no dry run. */
  admission({ decisions, leftAlone, warnings }: Admission): void {
    if (leftAlone !== undefined) this.#passedOver.add(leftAlone.reason);
    this.#warnings.addMany(warnings.length, []);
    for (const decision of decisions) {
      const { rewrite, leftToPods } = decision;
      const outcome = leftToPods && !isRewritten(decision) ? 'leftToPods' : rewrite.outcome;
      const source = rewrite.rule === undefined ? 'none' : sourceOf[rewrite.rule.source];
      this.#images.add(outcome, source);
      for (const { reason } of rewrite.passedOver) this.#passedOver.add(reason);
    }
  }

  meeting(): void {
    this.#meetings.add();
  }

  unknownNamespace(): void {
    this.#unknownNamespaces.add();
  }

  took(seconds: number): void {
    this.#duration.observe(seconds);
  }

  #rules(table: () => RuleTable): void {
    let counted: { readonly of: RuleTable; readonly counts: Record<SourceName, number> } | undefined;
    new Gauge({
      name: `${prefix}_rules`,
      help: 'Rules in force: lines of ImageMaps and of imageswap’s map, mirrors, gilly’s one.',
      labelNames: ['source'],
      registers: [this.#registry],
      collect() {
        const now = table();
        if (counted?.of !== now) counted = { of: now, counts: ruleCounts(now) };
        for (const source of sourceNames) this.set({ source }, counted.counts[source]);
      },
    });
  }

  #tally(name: string, help: string, labels: readonly string[]): Tally {
    return new Tally({ name: `${prefix}_${name}`, help, labels, registry: this.#registry });
  }

  #gauge(name: string, help: string, of: () => number): void {
    new Gauge({
      name: `${prefix}_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        this.set(of());
      },
    });
  }
}
