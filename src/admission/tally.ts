/** A counter that costs next to nothing to count up: what Prometheus needs of it is made when it is asked for. */
import { Counter, type Registry } from 'prom-client';

export interface TallyOptions {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly registry: Registry;
}

/** Between values of labels, none of which has it. */
const separator = '\n';

export class Tally {
  readonly #counts = new Map<string, number>();

  constructor({ name, help, labels, registry }: TallyOptions) {
    const counts = this.#counts;
    new Counter({
      name,
      help,
      labelNames: labels,
      registers: [registry],
      collect() {
        this.reset();
        for (const [key, count] of counts) this.inc(labelsOf(labels, key), count);
      },
    });
  }

  /** Has a series of 0 from the start: Prometheus does not see the first step of one that begins with it. */
  expect(...values: readonly string[]): void {
    this.#counts.set(values.join(separator), 0);
  }

  /** Takes the values of the labels, in their order. */
  add(...values: readonly string[]): void {
    this.addMany(1, values);
  }

  addMany(count: number, values: readonly string[]): void {
    if (count === 0) return;
    const key = values.join(separator);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }
}

function labelsOf(labels: readonly string[], key: string): Record<string, string> {
  const values = key.split(separator);
  return Object.fromEntries(labels.map((label, index) => [label, values[index] ?? '']));
}
