/** The objects of the fake API server and their history: resourceVersions, conflicts, compaction. */
import { randomUUID } from 'node:crypto';
import { type KubeObject, keyOf } from '../../src/kube/object.ts';
import { apiVersionOf, type ResourceType, typeName } from '../../src/kube/resource-type.ts';

/** One change, as a watch reports it. */
export interface HistoryEntry {
  version: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  resource: ResourceType;
  object: KubeObject;
}

/** An answer that is no success, as the API server words it. */
export class StatusAnswer extends Error {
  readonly code: number;
  readonly reason: string;
  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** What etcd is to the real one. */
export class FakeApiState {
  readonly #types = new Map<string, ResourceType>();
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Set<(entry: HistoryEntry) => void>();
  #history: HistoryEntry[] = [];
  #version = 1000;
  #compacted = 0;

  get version(): number {
    return this.#version;
  }

  addType(type: ResourceType): void {
    this.#types.set(typeName(type), type);
    this.#objects.set(typeName(type), new Map());
  }

  /** Deletes the objects, as the deletion of a CRD does, then forgets the type. */
  removeType(type: ResourceType): void {
    for (const object of this.list(type)) this.delete(type, keyOf(object));
    this.#types.delete(typeName(type));
    this.#objects.delete(typeName(type));
  }

  findType(group: string, version: string, plural: string): ResourceType | undefined {
    const type = this.#types.get(group === '' ? plural : `${plural}.${group}`);
    return type?.version === version ? type : undefined;
  }

  list(type: ResourceType, namespace?: string): KubeObject[] {
    const all = [...this.#of(type).values()];
    return all.filter((object) => namespace === undefined || object.metadata.namespace === namespace);
  }

  get(type: ResourceType, key: string): KubeObject {
    const object = this.#of(type).get(key);
    if (object === undefined) throw new StatusAnswer(404, 'NotFound', `${typeName(type)} "${key}" not found`);
    return object;
  }

  create(type: ResourceType, object: KubeObject): KubeObject {
    const key = keyOf(object);
    if (this.#of(type).has(key)) throw new StatusAnswer(409, 'AlreadyExists', `"${key}" already exists`);
    const metadata = {
      ...object.metadata,
      uid: randomUUID(),
      generation: 1,
      creationTimestamp: new Date().toISOString(),
    };
    return this.#store('ADDED', type, { ...object, metadata });
  }

  update(type: ResourceType, object: KubeObject): KubeObject {
    const old = this.get(type, keyOf(object));
    const { resourceVersion = old.metadata.resourceVersion } = object.metadata;
    if (resourceVersion !== old.metadata.resourceVersion) {
      throw new StatusAnswer(409, 'Conflict', 'the object has been modified');
    }
    return this.#store('MODIFIED', type, { ...object, metadata: { ...old.metadata, ...object.metadata } });
  }

  delete(type: ResourceType, key: string): KubeObject {
    const object = this.get(type, key);
    this.#of(type).delete(key);
    const last = this.#stamp(type, object);
    this.#record({ version: this.#version, type: 'DELETED', resource: type, object: last });
    return last;
  }

  /** Forgets the history: older resourceVersions are answered with 410. */
  compact(): void {
    this.#version += 1;
    this.#compacted = this.#version;
    this.#history = [];
  }

  isExpired(version: number): boolean {
    return version < this.#compacted;
  }

  since(version: number, type: ResourceType): HistoryEntry[] {
    return this.#history.filter(
      (entry) => entry.version > version && typeName(entry.resource) === typeName(type),
    );
  }

  subscribe(listener: (entry: HistoryEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #of(type: ResourceType): Map<string, KubeObject> {
    const objects = this.#objects.get(typeName(type));
    if (objects === undefined)
      throw new StatusAnswer(404, 'NotFound', 'the server could not find the resource');
    return objects;
  }

  #store(change: 'ADDED' | 'MODIFIED', type: ResourceType, object: KubeObject): KubeObject {
    const stored = this.#stamp(type, object);
    this.#of(type).set(keyOf(stored), stored);
    this.#record({ version: this.#version, type: change, resource: type, object: stored });
    return stored;
  }

  #stamp(type: ResourceType, object: KubeObject): KubeObject {
    this.#version += 1;
    const metadata = { ...object.metadata, resourceVersion: String(this.#version) };
    return { ...object, apiVersion: apiVersionOf(type), kind: type.kind, metadata };
  }

  #record(entry: HistoryEntry): void {
    this.#history.push(entry);
    for (const listener of this.#listeners) listener(entry);
  }
}
