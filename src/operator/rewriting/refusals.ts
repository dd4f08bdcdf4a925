/** What the API server refuses to write for one object, by a field or by somebody's policy: no reason to keep the others waiting. */
import { ApiError } from '../../kube/errors.ts';

export class Refusals {
  #first: ApiError | undefined;

  /** Works on all items, one by one; notes refusals and throws every other error at once, which the next item would meet as well. */
  async over<Item>(items: Iterable<Item>, work: (item: Item) => Promise<void>): Promise<void> {
    for (const item of items) await work(item).catch((error: unknown) => this.#note(error));
  }

  /** Throws the first refusal, if there was one. */
  throwIfAny(): void {
    if (this.#first !== undefined) throw this.#first;
  }

  #note(error: unknown): void {
    if (!(error instanceof ApiError && (error.forbidden || error.invalid))) throw error;
    this.#first ??= error;
  }
}
