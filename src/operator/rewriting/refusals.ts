/** What cannot be written to one object, by a field, by somebody's policy or because somebody undoes it: no reason to keep the others waiting. */
import { ApiError } from '../../kube/errors.ts';
import { WaitingError } from '../../observe/errors.ts';

export class Refusals {
  #first: ApiError | WaitingError | undefined;

  /** Works on all items, one by one; notes refusals and throws every other error at once, which the next item would meet as well. */
  async over<Item>(items: Iterable<Item>, work: (item: Item) => Promise<void>): Promise<void> {
    for (const item of items) await work(item).catch((error: unknown) => this.#note(error));
  }

  /** Throws the first refusal, if there was one. */
  throwIfAny(): void {
    if (this.#first !== undefined) throw this.#first;
  }

  #note(error: unknown): void {
    const isRefused = error instanceof ApiError && (error.forbidden || error.invalid);
    if (!isRefused && !(error instanceof WaitingError)) throw error;
    this.#first ??= error;
  }
}
