/**
 * The API client: JSON in and out, nothing dropped, every failure thrown. May be imported by operator/, admission/ and
 * cli/; this folder knows nothing of mirrors.
 */
import type { Logger } from '../observe/log.ts';
import type { Connection } from './connection.ts';
import type { ExecProcess, ExecRequest } from './exec.ts';
import { HttpKubeClient } from './http-client.ts';
import type { KubeObject, ObjectKey } from './object.ts';
import type { ResourceType } from './resource-type.ts';
import { type RequestRecord, Transport } from './transport.ts';
import type { WatchEvent } from './watch-stream.ts';

export type { RequestRecord } from './transport.ts';
export type { WatchEvent } from './watch-stream.ts';

/** Every method waits for the network and takes a signal. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/** Which objects of a type; without `namespace` all of them. */
export interface Selection {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

export interface ListOptions extends CallOptions, Selection {
  limit?: number;
  continue?: string;
  resourceVersion?: string;
}

/** A page, or all, of a list; `resourceVersion` is where a watch goes on from. */
export interface ObjectList<T extends KubeObject = KubeObject> {
  items: T[];
  resourceVersion: string;
  continue?: string;
}

export interface WatchOptions extends CallOptions, Selection {
  resourceVersion?: string | undefined;
  /** The server ends the watch after so long. */
  timeoutSeconds?: number;
  allowBookmarks?: boolean;
  /** Called when the server has accepted the watch, which may be long before its first event. */
  onOpen?: () => void;
}

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface WriteOptions extends CallOptions {
  fieldManager?: string;
  dryRun?: boolean;
  fieldValidation?: FieldValidation;
  subresource?: string;
}

export interface ApplyOptions extends WriteOptions {
  fieldManager: string;
  /** Take over fields that other managers own; without it that is a `conflict`. */
  force?: boolean;
}

export interface PatchOptions extends WriteOptions {
  /** `json` is RFC 6902 (an array of operations), `merge` RFC 7386. */
  contentType: 'json' | 'merge';
}

export interface DeleteOptions extends CallOptions {
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: boolean;
}

export interface RawOptions extends CallOptions {
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  contentType?: string;
}

/** Methods throw `ApiError` for an answer that is no success, `ConnectionError` for none, the signal's reason on abort. */
export interface KubeClient {
  get<T extends KubeObject = KubeObject>(
    type: ResourceType,
    key: ObjectKey,
    options?: CallOptions,
  ): Promise<T>;
  /** `undefined` only for a 404; a failed read is never taken for absence. */
  getOrUndefined<T extends KubeObject = KubeObject>(
    type: ResourceType,
    key: ObjectKey,
    options?: CallOptions,
  ): Promise<T | undefined>;
  /** One page. Items get the apiVersion and kind that lists leave out. */
  list<T extends KubeObject = KubeObject>(type: ResourceType, options?: ListOptions): Promise<ObjectList<T>>;
  /**
   * All pages of 500; starts again unpaged when the continue token expires in between. `resourceVersion` "0": whatever state the server
   * has in memory, in as many pages as it likes.
   */
  listAll<T extends KubeObject = KubeObject>(
    type: ResourceType,
    options?: CallOptions & Selection & Pick<ListOptions, 'resourceVersion'>,
  ): Promise<ObjectList<T>>;
  create<T extends KubeObject = KubeObject>(
    type: ResourceType,
    object: KubeObject,
    options?: WriteOptions,
  ): Promise<T>;
  /** Server-side apply: creates or changes exactly the given fields. `object` must not carry managedFields. */
  apply<T extends KubeObject = KubeObject>(
    type: ResourceType,
    object: KubeObject,
    options: ApplyOptions,
  ): Promise<T>;
  patch<T extends KubeObject = KubeObject>(
    type: ResourceType,
    key: ObjectKey,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T>;
  /** Replaces; refused with `conflict` when `metadata.resourceVersion` is given and stale. */
  update<T extends KubeObject = KubeObject>(
    type: ResourceType,
    object: KubeObject,
    options?: WriteOptions,
  ): Promise<T>;
  /** Returns false if the object was not there (success all the same). */
  delete(type: ResourceType, key: ObjectKey, options?: DeleteOptions): Promise<boolean>;
  /** Events until the server ends the watch; an `ERROR` event carries a Status. Throws on a broken line or connection. */
  watch<T extends KubeObject = KubeObject>(
    type: ResourceType,
    options?: WatchOptions,
  ): AsyncIterable<WatchEvent<T>>;
  /** Anything else of the API (`/version`, a review, discovery); returns the parsed body. */
  request(method: string, path: string, options?: RawOptions): Promise<unknown>;
  /** Runs a command in a container of a pod; see `ExecProcess`. */
  exec(request: ExecRequest): Promise<ExecProcess>;
  close(): Promise<void>;
}

export interface ClientOptions {
  userAgent: string;
  /** Told the warnings the API server sends along, each once. */
  logger?: Logger;
  onRequest?: (record: RequestRecord) => void;
}

/** Makes a client; it opens no connection before the first request. */
export function createClient(connection: Connection, options: ClientOptions): KubeClient {
  return new HttpKubeClient(new Transport(connection, options));
}
