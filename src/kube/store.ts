/** What the API server has of one type, as far as we have heard: written by a reflector, read by everybody. */
import type { Logger } from '../observe/log.ts';
import { type KubeObject, keyOf } from './object.ts';

/** One change of a store; subscribers that replay all changes hold what the store holds. */
export interface StoreChange<T extends KubeObject = KubeObject> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The object as it is now; for DELETED its last known state. */
  object: T;
  /** What the store held before; for DELETED the same key's stored object. */
  previous?: T;
}

/** Returns the values under which `byIndex` finds an object. */
export type IndexFunction<T extends KubeObject> = (object: T) => string[];

export interface StoreOptions<T extends KubeObject> {
  indexes?: Record<string, IndexFunction<T>>;
  /** Makes what is stored from what came, for example without managedFields; must keep name and resourceVersion. */
  prepare?: (object: T) => T;
  logger?: Logger;
}

/** Objects by `keyOf`, with named indexes. Objects are frozen; whoever changes one makes a copy. */
export class Store<T extends KubeObject = KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes: Map<string, Index<T>>;
  readonly #prepare: (object: T) => T;
  readonly #listeners = new Set<(change: StoreChange<T>) => void>();
  readonly #logger: Logger | undefined;

  constructor(options: StoreOptions<T> = {}) {
    const indexes = Object.entries(options.indexes ?? {});
    this.#indexes = new Map(indexes.map(([name, valuesOf]) => [name, new Index(valuesOf)]));
    this.#prepare = options.prepare ?? ((object) => object);
    this.#logger = options.logger;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** Returns the objects whose index `name` has `value`. Throws for an index that was not declared. */
  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`The store has no index ${name}`);
    return index.get(value);
  }

  /** Calls `listener` with every change from now on, after the store has it; returns what ends that. */
  subscribe(listener: (change: StoreChange<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes in an object; the same resourceVersion again is no change. */
  put(object: T): void {
    const change = this.#put(object);
    if (change !== undefined) this.#tell(change);
  }

  /** Takes out an object; `last` is its state at deletion if that is known. */
  remove(key: string, last?: T): void {
    const change = this.#remove(key, last);
    if (change !== undefined) this.#tell(change);
  }

  /** Makes `objects` the whole content; subscribers hear of it when all of it is in place. */
  replace(objects: T[]): void {
    const listed = new Set(objects.map(keyOf));
    const vanished = [...this.#objects.keys()].filter((key) => !listed.has(key));
    const changes = [
      ...vanished.map((key) => this.#remove(key)),
      ...objects.map((object) => this.#put(object)),
    ];
    for (const change of changes) if (change !== undefined) this.#tell(change);
  }

  #put(object: T): StoreChange<T> | undefined {
    const key = keyOf(object);
    const previous = this.#objects.get(key);
    if (previous !== undefined && sameState(previous, object)) return undefined;
    const stored = deepFreeze(this.#prepare(object));
    this.#objects.set(key, stored);
    for (const index of this.#indexes.values()) index.change(previous, stored);
    return previous === undefined
      ? { type: 'ADDED', object: stored }
      : { type: 'MODIFIED', object: stored, previous };
  }

  #remove(key: string, last?: T): StoreChange<T> | undefined {
    const previous = this.#objects.get(key);
    if (previous === undefined) return undefined;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) index.change(previous, undefined);
    const object = last === undefined ? previous : deepFreeze(this.#prepare(last));
    return { type: 'DELETED', object, previous };
  }

  #tell(change: StoreChange<T>): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        // The stream must go on for the other objects and listeners.
        this.#logger?.error({ error, object: keyOf(change.object) }, 'Listener of a store failed');
      }
    }
  }
}

/** An object made anew under the same name has another uid; a resourceVersion is only compared for equality. */
function sameState(one: KubeObject, other: KubeObject): boolean {
  const { uid, resourceVersion } = one.metadata;
  if (resourceVersion === undefined) return false;
  return uid === other.metadata.uid && resourceVersion === other.metadata.resourceVersion;
}

/** Value -> objects; holds objects by identity, which is safe because a stored object never changes. */
class Index<T extends KubeObject> {
  readonly #valuesOf: IndexFunction<T>;
  readonly #byValue = new Map<string, Set<T>>();

  constructor(valuesOf: IndexFunction<T>) {
    this.#valuesOf = valuesOf;
  }

  get(value: string): T[] {
    return [...(this.#byValue.get(value) ?? [])];
  }

  change(previous: T | undefined, next: T | undefined): void {
    if (previous !== undefined) for (const value of this.#valuesOf(previous)) this.#drop(value, previous);
    if (next === undefined) return;
    for (const value of this.#valuesOf(next)) {
      const found = this.#byValue.get(value);
      if (found === undefined) this.#byValue.set(value, new Set([next]));
      else found.add(next);
    }
  }

  #drop(value: string, object: T): void {
    const found = this.#byValue.get(value);
    found?.delete(object);
    if (found?.size === 0) this.#byValue.delete(value);
  }
}

function deepFreeze<V>(value: V): V {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
