/** Replays a store's changes, to show that a subscriber ends up with what the store holds. */
import { type KubeObject, keyOf } from '../../src/kube/object.ts';
import type { Store, StoreChange } from '../../src/kube/store.ts';

/** What a subscriber knows; throws away nothing and notes every change that contradicts the ones before. */
export class StoreReplica {
  readonly objects = new Map<string, KubeObject>();
  readonly changes: StoreChange[] = [];
  readonly contradictions: string[] = [];

  constructor(store: Store) {
    store.subscribe((change) => this.#take(change));
  }

  /** `TYPE key` of every change so far. */
  get log(): string[] {
    return this.changes.map(({ type, object }) => `${type} ${keyOf(object)}`);
  }

  #take(change: StoreChange): void {
    const key = keyOf(change.object);
    this.changes.push(change);
    const known = this.objects.get(key);
    if ((change.type === 'ADDED') !== (known === undefined))
      this.contradictions.push(`${change.type} ${key}`);
    if (change.previous !== known) this.contradictions.push(`previous of ${change.type} ${key}`);
    if (change.type === 'DELETED') this.objects.delete(key);
    else this.objects.set(key, change.object);
  }
}
