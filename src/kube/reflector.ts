/**
 * Keeps a store equal to what the API server has of one type: list, watch, resume, for ever. Whatever fails is tried
 * again with a bounded pause; nothing the server does ends it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../observe/log.ts';
import { backoffMs } from './backoff.ts';
import type { KubeClient, Selection, WatchEvent } from './client.ts';
import { ApiError, type StatusBody } from './errors.ts';
import { type KubeObject, keyOf } from './object.ts';
import { type ResourceType, typeName } from './resource-type.ts';
import type { Store } from './store.ts';

/**
 * `missing`: the server does not know the type (its CRD is not installed); the store is empty and that is the truth.
 * `forbidden` and `retrying`: the store holds what was last heard.
 */
export type ReflectorState = 'starting' | 'synced' | 'missing' | 'forbidden' | 'retrying';

export interface ReflectorOptions<T extends KubeObject> {
  client: KubeClient;
  type: ResourceType;
  store: Store<T>;
  selection?: Selection;
  /** Upper bound of every pause (SECONDS_BETWEEN_STREAMS). */
  maxPauseMs: number;
  logger?: Logger;
  /** Called when the state changes, not with each failure of the same kind. */
  onState?: (state: ReflectorState, error?: unknown) => void;
  random?: () => number;
  timing?: Partial<ReflectorTiming>;
}

/** What tests shorten. */
export interface ReflectorTiming {
  /** First pause after a failure. */
  basePauseMs: number;
  /** Pause while the type is missing. */
  missingPauseMs: number;
  /** A watch that lasted so long proves the server well: the next failure pauses `basePauseMs` again. */
  healthyMs: number;
  /** The server is asked to end a watch after `watchMs` to a quarter more, at random, so that they do not end together. */
  watchMs: number;
  /** A watch that goes on so long after it should have ended is a connection whose other end is gone. */
  graceMs: number;
}

const defaultTiming: ReflectorTiming = {
  basePauseMs: 200,
  missingPauseMs: 5_000,
  healthyMs: 5_000,
  watchMs: 240_000,
  graceMs: 15_000,
};
/** So many failures or short watches in a row, and what we resume from may be what the server chokes on: list again. */
const troublesUntilList = 3;
const refusalsUntilForbidden = 3;

/** The reflector of one type; start it with `run`. */
export class Reflector<T extends KubeObject = KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #timing: ReflectorTiming;
  readonly #firstSync = Promise.withResolvers<void>();
  #synced = false;
  #state: ReflectorState = 'starting';
  /** Where to resume; undefined: list first. */
  #version: string | undefined;
  /** Lists and watches refused or unanswered since the last accepted watch. */
  #failures = 0;
  /** Accepted watches in a row that ended too soon. */
  #shortWatches = 0;
  #openedAt: number | undefined;
  #missedBefore = false;
  #isKnown = true;
  /** In a row, by rights. */
  #refusals = 0;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#timing = { ...defaultTiming, ...options.timing };
  }

  get state(): ReflectorState {
    return this.#state;
  }

  /** False from when the server did not know the type until it has listed it again: an empty store says nothing then. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** True once the store has been equal to the server's state; an empty store for a missing type counts. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Resolves when `synced` becomes true; rejects with the signal's reason. */
  async whenSynced(signal?: AbortSignal): Promise<void> {
    if (signal === undefined) return this.#firstSync.promise;
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    await Promise.race([this.#firstSync.promise, promise]).finally(() =>
      signal.removeEventListener('abort', onAbort),
    );
  }

  /** Lists and watches until `signal` is aborted; never rejects. Call it once. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const pauseMs = await this.#turn(signal).catch((error: unknown) => this.#failed(error, signal));
      if (pauseMs > 0) await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One list, if there is nothing to resume from, and one watch to its end; returns the pause before the next. */
  async #turn(signal: AbortSignal): Promise<number> {
    this.#openedAt = undefined;
    if (this.#version === undefined) await this.#list(signal);
    await this.#watch(signal);
    this.#count();
    return this.#backoff();
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, type, store, selection } = this.#options;
    const { items, resourceVersion } = await client.listAll<T>(type, { ...selection, signal });
    store.replace(items);
    this.#version = resourceVersion;
    this.#missedBefore = false;
    this.#isKnown = true;
    this.#isSynced();
    // From the other states only an accepted watch leads back: with `list` allowed and `watch` not, we would flap.
    if (this.#state === 'starting' || this.#state === 'missing') this.#become('synced');
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, type, selection, random = Math.random } = this.#options;
    const watchMs = this.#timing.watchMs * (1 + random() / 4);
    const deadline = AbortSignal.timeout(Math.ceil(watchMs + this.#timing.graceMs));
    const events = client.watch<T>(type, {
      ...selection,
      resourceVersion: this.#version,
      timeoutSeconds: Math.max(1, Math.round(watchMs / 1000)),
      allowBookmarks: true,
      onOpen: () => this.#opened(),
      signal: AbortSignal.any([signal, deadline]),
    });
    for await (const event of events) this.#take(event);
  }

  #opened(): void {
    this.#openedAt = performance.now();
    this.#refusals = 0;
    this.#become('synced');
  }

  #take(event: WatchEvent<T>): void {
    const { store, type } = this.#options;
    if (event.type === 'ERROR') {
      // Not only 410: whatever the server found wrong with this watch, it does not go on from here.
      this.#version = undefined;
      const status = event.object as StatusBody;
      throw new ApiError(`WATCH ${typeName(type)}`, status.code ?? 500, status);
    }
    if (event.type === 'DELETED') store.remove(keyOf(event.object), event.object);
    else if (event.type !== 'BOOKMARK') store.put(event.object);
    const seen = event.object.metadata.resourceVersion;
    if (seen !== undefined) this.#version = seen;
  }

  /** Counts how a turn ended; a watch that lasted makes the next trouble the first. */
  #count(): void {
    if (this.#openedAt === undefined) {
      this.#failures += 1;
      return;
    }
    const lasted = performance.now() - this.#openedAt;
    this.#failures = 0;
    this.#shortWatches = lasted >= this.#timing.healthyMs ? 0 : this.#shortWatches + 1;
  }

  #failed(error: unknown, signal: AbortSignal): number {
    if (signal.aborted) return 0;
    this.#count();
    if (Math.max(this.#failures, this.#shortWatches) >= troublesUntilList) this.#version = undefined;
    if (!(error instanceof ApiError)) return this.#retrying(error);
    if (error.notFound) return this.#missing(error);
    if (refusesToResume(error)) this.#version = undefined;
    return error.forbidden ? this.#forbidden(error) : this.#retrying(error);
  }

  #retrying(error: unknown): number {
    const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
    this.#become('retrying', error);
    return Math.min(this.#options.maxPauseMs, Math.max(asked, this.#backoff()));
  }

  /**
   * Named once; slower than other failures because a human has to act. An API server that starts says 403, too: where there were rights, the third in
   * a row counts.
   */
  #forbidden(error: ApiError): number {
    this.#refusals += 1;
    const hadRights = this.#synced && this.#state !== 'forbidden';
    this.#become(hadRights && this.#refusals < refusalsUntilForbidden ? 'retrying' : 'forbidden', error);
    return this.#backoff(this.#timing.basePauseMs * 5);
  }

  /** One 404 is not believed while there are objects to lose: an API server that starts may not know its CRDs yet. */
  #missing(error: ApiError): number {
    const { store, maxPauseMs } = this.#options;
    this.#version = undefined;
    this.#failures = 0;
    if (store.size > 0 && !this.#missedBefore) {
      this.#missedBefore = true;
      return Math.min(maxPauseMs, this.#timing.basePauseMs * 5);
    }
    store.replace([]);
    this.#isKnown = false;
    this.#isSynced();
    this.#become('missing', error);
    return this.#jitter(Math.min(maxPauseMs, this.#timing.missingPauseMs));
  }

  #backoff(baseMs = this.#timing.basePauseMs): number {
    const { maxPauseMs: maxMs, random = Math.random } = this.#options;
    return backoffMs(Math.max(this.#failures, this.#shortWatches), { baseMs, maxMs, random });
  }

  #jitter(ms: number): number {
    return backoffMs(1, { baseMs: ms, maxMs: ms, random: this.#options.random ?? Math.random });
  }

  #isSynced(): void {
    this.#synced = true;
    this.#firstSync.resolve();
  }

  #become(state: ReflectorState, error?: unknown): void {
    if (state === this.#state) return;
    const before = this.#state;
    this.#state = state;
    this.#log(before, state, error);
    this.#options.onState?.(state, error);
  }

  #log(before: ReflectorState, state: ReflectorState, error: unknown): void {
    const { logger, type } = this.#options;
    const fields = { type: typeName(type), ...(error === undefined ? {} : { error }) };
    if (state === 'missing') logger?.warn(fields, 'The API server does not serve a type; waiting for it');
    else if (state === 'forbidden') logger?.error(fields, 'Not allowed to list and watch a type');
    else if (state === 'retrying') logger?.warn(fields, 'Lost a watch; resuming');
    else if (before !== 'starting') logger?.info(fields, 'Resumed watching a type');
  }
}

/** Client errors say that this resourceVersion will not do; 403 on watch alone leaves polling by lists. */
function refusesToResume(error: ApiError): boolean {
  return error.status >= 400 && error.status < 500 && !error.unauthorized && !error.tooManyRequests;
}
