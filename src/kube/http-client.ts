/** The verbs of `KubeClient` as HTTP requests; made by `createClient` only. */
import type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubeClient,
  ListOptions,
  ObjectList,
  PatchOptions,
  RawOptions,
  Selection,
  WatchOptions,
  WriteOptions,
} from './client.ts';
import { ApiError, ConnectionError } from './errors.ts';
import { type ExecProcess, type ExecRequest, startExec } from './exec.ts';
import type { KubeObject, ObjectKey } from './object.ts';
import { pageSize } from './pages.ts';
import { apiVersionOf, type ResourceType, resourcePath } from './resource-type.ts';
import { describe, type Transport, type TransportRequest } from './transport.ts';
import { readWatch, type WatchEvent } from './watch-stream.ts';

const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
} as const;

/** See `KubeClient` for what each method promises. */
export class HttpKubeClient implements KubeClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get<T extends KubeObject>(type: ResourceType, key: ObjectKey, options: CallOptions = {}): Promise<T> {
    return this.#object<T>({
      method: 'GET',
      verb: 'get',
      path: resourcePath(type, key),
      signal: options.signal,
    });
  }

  async getOrUndefined<T extends KubeObject>(
    type: ResourceType,
    key: ObjectKey,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    try {
      return await this.get<T>(type, key, options);
    } catch (error) {
      if (error instanceof ApiError && error.notFound) return undefined;
      throw error;
    }
  }

  async list<T extends KubeObject>(type: ResourceType, options: ListOptions = {}): Promise<ObjectList<T>> {
    const { limit, continue: token, resourceVersion, signal } = options;
    const query = { ...selectors(options), limit, continue: token, resourceVersion };
    const path = collectionPath(type, options);
    const request = { method: 'GET', verb: 'list', path, query, signal };
    const body = await this.#transport.json(request);
    // Whatever stands between may answer 200: that there is nothing must have been said by the API server.
    if (!isList(body)) throw new ConnectionError(describe(request), 'the answer is not a list');
    return toList<T>(type, body);
  }

  async listAll<T extends KubeObject>(
    type: ResourceType,
    options: CallOptions & Selection & Pick<ListOptions, 'resourceVersion'> = {},
  ): Promise<ObjectList<T>> {
    // The token says of which state the next page is.
    const { resourceVersion: _first, ...further } = options;
    const items: T[] = [];
    let page = await this.list<T>(type, { ...options, limit: pageSize });
    items.push(...page.items);
    while (page.continue !== undefined) {
      try {
        page = await this.list<T>(type, { ...further, limit: pageSize, continue: page.continue });
      } catch (error) {
        if (error instanceof ApiError && error.gone) return this.list<T>(type, options);
        throw error;
      }
      items.push(...page.items);
    }
    return { items, resourceVersion: page.resourceVersion };
  }

  create<T extends KubeObject>(
    type: ResourceType,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<T> {
    const { namespace, name } = object.metadata;
    const path =
      options.subresource === undefined
        ? resourcePath(type, namespace === undefined ? {} : { namespace })
        : resourcePath(type, keyFrom(namespace, name), options.subresource);
    return this.#write<T>('POST', 'create', path, object, options);
  }

  apply<T extends KubeObject>(type: ResourceType, object: KubeObject, options: ApplyOptions): Promise<T> {
    const { namespace, name } = object.metadata;
    const path = resourcePath(type, keyFrom(namespace, name), options.subresource);
    const contentType = 'application/apply-patch+yaml';
    return this.#write<T>('PATCH', 'apply', path, object, options, contentType, { force: options.force });
  }

  patch<T extends KubeObject>(
    type: ResourceType,
    key: ObjectKey,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T> {
    const path = resourcePath(type, key, options.subresource);
    return this.#write<T>('PATCH', 'patch', path, patch, options, patchTypes[options.contentType]);
  }

  update<T extends KubeObject>(
    type: ResourceType,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<T> {
    const { namespace, name } = object.metadata;
    const path = resourcePath(type, keyFrom(namespace, name), options.subresource);
    return this.#write<T>('PUT', 'update', path, object, options);
  }

  async delete(type: ResourceType, key: ObjectKey, options: DeleteOptions = {}): Promise<boolean> {
    const { propagationPolicy, preconditions, dryRun, signal } = options;
    const body = JSON.stringify({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy,
      preconditions,
      ...(dryRun === true ? { dryRun: ['All'] } : {}),
    });
    try {
      const path = resourcePath(type, key);
      await this.#transport.json({ method: 'DELETE', verb: 'delete', path, body, signal });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.notFound) return false;
      throw error;
    }
  }

  watch<T extends KubeObject>(type: ResourceType, options: WatchOptions = {}): AsyncIterable<WatchEvent<T>> {
    const { resourceVersion, timeoutSeconds, allowBookmarks, onOpen, signal } = options;
    const query = {
      ...selectors(options),
      watch: true,
      resourceVersion,
      timeoutSeconds,
      ...(allowBookmarks === true ? { allowWatchBookmarks: true } : {}),
    };
    const path = collectionPath(type, options);
    const request = { method: 'GET', verb: 'watch', path, query, signal, endless: true };
    return readWatch<T>(this.#transport, request, onOpen);
  }

  request(method: string, path: string, options: RawOptions = {}): Promise<unknown> {
    const { query, body, contentType, signal } = options;
    return this.#transport.json({
      method,
      verb: 'raw',
      path,
      query,
      contentType,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  }

  exec(request: ExecRequest): Promise<ExecProcess> {
    return startExec(this.#transport.openWebSocket, request);
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  #write<T extends KubeObject>(
    method: string,
    verb: string,
    path: string,
    body: unknown,
    options: WriteOptions,
    contentType?: string,
    extra: Record<string, boolean | undefined> = {},
  ): Promise<T> {
    const { fieldManager, fieldValidation, dryRun, signal } = options;
    const query = { fieldManager, fieldValidation, ...(dryRun === true ? { dryRun: 'All' } : {}), ...extra };
    return this.#object<T>({ method, verb, path, query, contentType, signal, body: JSON.stringify(body) });
  }

  async #object<T extends KubeObject>(request: TransportRequest): Promise<T> {
    return (await this.#transport.json(request)) as T;
  }
}

function selectors({ labelSelector, fieldSelector }: Selection) {
  return { labelSelector, fieldSelector };
}

function collectionPath(type: ResourceType, { namespace }: Selection): string {
  return resourcePath(type, namespace === undefined ? {} : { namespace });
}

function keyFrom(namespace: string | undefined, name: string): ObjectKey {
  return namespace === undefined ? { name } : { namespace, name };
}

interface ListBody {
  /** Go's empty list may be null; it is never left out. */
  readonly items: readonly object[] | null;
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
}

function isList(body: unknown): body is ListBody {
  if (!isObject(body)) return false;
  const { items, metadata } = body as Partial<ListBody>;
  return isObject(metadata) && (items === null || (Array.isArray(items) && items.every(isObject)));
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function toList<T extends KubeObject>(type: ResourceType, { items, metadata }: ListBody): ObjectList<T> {
  const named = ((items ?? []) as T[]).map((item) => ({
    ...item,
    apiVersion: apiVersionOf(type),
    kind: type.kind,
  }));
  return {
    items: named,
    resourceVersion: metadata.resourceVersion ?? '',
    ...(metadata.continue ? { continue: metadata.continue } : {}),
  };
}
