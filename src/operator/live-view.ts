/**
 * A store with our own last writes on top. A watch is always a little behind: without this, a pass that follows a write
 * would not see it and write again.
 */
import { type KubeObject, keyOf } from '../kube/object.ts';
import type { Store, StoreChange } from '../kube/store.ts';

/** A write that the watch has not shown for so long is doubted: the store is believed again. */
const trustedMs = 10_000;

interface Written {
  readonly object: KubeObject;
  readonly until: number;
}

export interface LiveViewOptions {
  /** People write the spec, we only the rest: a new generation is never our doing. */
  readonly theirSpec?: boolean;
  readonly now?: () => number;
}

export class LiveView {
  readonly #store: Store;
  readonly #written = new Map<string, Written>();
  /** Until when an object with this uid is taken for gone. */
  readonly #gone = new Map<string, number>();
  /** By uid: deletions that were seen, which an answer to a write of before may follow. */
  readonly #deleted = new Map<string, { readonly version: bigint; readonly until: number }>();
  readonly #listeners = new Set<(change: StoreChange) => void>();
  readonly #theirSpec: boolean;
  readonly #now: () => number;

  constructor(store: Store, { theirSpec = false, now = () => performance.now() }: LiveViewOptions = {}) {
    this.#store = store;
    this.#theirSpec = theirSpec;
    this.#now = now;
    store.subscribe((change) => this.#seen(change));
  }

  /** The newest state known: the store's, or what our own later write answered; undefined what we saw off. */
  get(key: string): KubeObject | undefined {
    const object = this.#newest(key);
    const until = this.#gone.get(object?.metadata.uid ?? '');
    return until !== undefined && until > this.#now() ? undefined : object;
  }

  /** All objects of the store; our own writes that the watch has not shown yet are left out. */
  list(): KubeObject[] {
    return this.#store.list();
  }

  byIndex(name: string, value: string): KubeObject[] {
    return this.#store.byIndex(name, value);
  }

  /** Calls `listener` with every change, the echo of our own writes included; returns what ends that. */
  subscribeToAll(listener: (change: StoreChange) => void): () => void {
    return this.#store.subscribe(listener);
  }

  /** Calls `listener` with every change but the echo of our own writes; returns what ends that. */
  subscribe(listener: (change: StoreChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Remembers what the API server answered to a write, unless the watch was faster. */
  written(object: KubeObject): void {
    const deleted = this.#deleted.get(object.metadata.uid ?? '');
    if (deleted !== undefined && version(object) < deleted.version) return;
    const key = keyOf(object);
    const stored = this.#store.get(key);
    if (stored !== undefined && !isOlder(stored, object)) return;
    this.#written.set(key, { object, until: this.#now() + trustedMs });
  }

  /** Remembers that our write ended the object: the server answers it with the state before. */
  sawOff({ metadata }: KubeObject): void {
    if (metadata.uid !== undefined) this.#gone.set(metadata.uid, this.#now() + trustedMs);
  }

  #sawDeleted(object: KubeObject): void {
    const { uid = '' } = object.metadata;
    const now = this.#now();
    this.#gone.delete(uid);
    for (const [other, { until }] of this.#deleted) if (until <= now) this.#deleted.delete(other);
    this.#deleted.set(uid, { version: version(object), until: now + trustedMs });
  }

  #newest(key: string): KubeObject | undefined {
    const written = this.#written.get(key);
    if (written === undefined) return this.#store.get(key);
    if (written.until > this.#now()) return written.object;
    this.#written.delete(key);
    return this.#store.get(key);
  }

  #seen(change: StoreChange): void {
    const { type, object } = change;
    const key = keyOf(object);
    if (type === 'DELETED') this.#sawDeleted(object);
    const written = this.#written.get(key)?.object;
    if (written !== undefined && this.#isConfirmed(change, written)) this.#written.delete(key);
    const echo = type !== 'DELETED' && written !== undefined && isEchoOf(object, written);
    if (!echo || this.#hasForeignChange(change)) for (const listener of this.#listeners) listener(change);
  }

  /** Our write may contain an edit or a deletion that came just before it, and that no pass has looked at. */
  #hasForeignChange({ object, previous }: StoreChange): boolean {
    if (previous === undefined || previous.metadata.uid !== object.metadata.uid) return false;
    const [before, after] = [previous.metadata, object.metadata];
    if (before.deletionTimestamp !== after.deletionTimestamp) return true;
    return this.#theirSpec && before.generation !== after.generation;
  }

  /** Of an object made anew, only its own deletion counts, not its predecessor's. */
  #isConfirmed({ type, object }: StoreChange, written: KubeObject): boolean {
    if (type === 'DELETED') return object.metadata.uid === written.metadata.uid;
    return !isOlder(object, written);
  }
}

/** The write itself, or a state before it: what follows is still to come, and what was wanted is written. */
function isEchoOf(object: KubeObject, written: KubeObject): boolean {
  return object.metadata.uid === written.metadata.uid && version(object) <= version(written);
}

/** Versions of one object can be compared as numbers (promised since Kubernetes 1.35, true long before). */
function isOlder(one: KubeObject, other: KubeObject): boolean {
  if (one.metadata.uid !== other.metadata.uid) return true;
  return version(one) < version(other);
}

function version({ metadata }: KubeObject): bigint {
  const text = metadata.resourceVersion ?? '0';
  return /^[0-9]+$/.test(text) ? BigInt(text) : 0n;
}
