/** The labels of a namespace: as they were heard of, else asked for once. A pod may come before the news of its namespace. */
import type { KubeClient } from '../kube/client.ts';
import type { Store } from '../kube/store.ts';
import { namespaces } from '../rewriting/resource-types.ts';

export type Labels = Readonly<Record<string, string>> | undefined;

export interface NamespaceLabelsOptions {
  readonly store: Pick<Store, 'get'>;
  readonly client: Pick<KubeClient, 'getOrUndefined'>;
  /** Told that the labels of a namespace could not be had, and why if it was asked for; it counts as one without labels. */
  readonly unknown: (name: string, error?: unknown) => void;
  readonly now?: () => number;
  /** A pod does not wait longer for the labels of its namespace. Milliseconds. */
  readonly patienceMs?: number;
}

/** An answer is good until the news must have come. */
const keptMs = 5_000;
/** Whoever reaches us can name namespaces: more are not asked for at a time. */
const mostAnswers = 64;
const nameForm = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export class NamespaceLabels {
  readonly #options: NamespaceLabelsOptions;
  readonly #answers = new Map<string, { readonly until: number; readonly labels: Promise<Labels> }>();

  constructor(options: NamespaceLabelsOptions) {
    this.#options = options;
  }

  /** Returns at once what is known; never rejects. */
  of(name: string): Labels | Promise<Labels> {
    const known = this.#options.store.get(name);
    if (known !== undefined) return known.metadata.labels;
    return nameForm.test(name) ? this.#asked(name) : undefined;
  }

  #asked(name: string): Promise<Labels> {
    const now = (this.#options.now ?? Date.now)();
    const answer = this.#answers.get(name);
    if (answer !== undefined && now < answer.until) return answer.labels;
    for (const [each, { until }] of this.#answers) if (now >= until) this.#answers.delete(each);
    const labels = this.#answers.size < mostAnswers ? this.#ask(name) : this.#unknown(name);
    if (this.#answers.size < mostAnswers) this.#answers.set(name, { until: now + keptMs, labels });
    return labels;
  }

  async #ask(name: string): Promise<Labels> {
    const { client, patienceMs = 1_000 } = this.#options;
    try {
      const signal = AbortSignal.timeout(patienceMs);
      return (await client.getOrUndefined(namespaces, { name }, { signal }))?.metadata.labels;
    } catch (error) {
      return this.#unknown(name, error);
    }
  }

  async #unknown(name: string, error?: unknown): Promise<undefined> {
    this.#options.unknown(name, error);
  }
}
