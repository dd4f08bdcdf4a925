/** Tags and manifests of one mirror, each asked of the upstream once however many ask at the same time. */
import { authorizationKey } from '../../registry/authorization-key.ts';
import { BoundedMap } from '../../registry/bounded-map.ts';
import { fetchManifest, headManifest, type Manifest, type StatedManifest } from '../../registry/manifest.ts';
import type { UpstreamClient } from '../../registry/upstream-client.ts';
import { toUpstreamError } from '../../registry/upstream-error.ts';
import { waitFor } from '../../registry/wait-for.ts';
import { SharedWork } from './shared-work.ts';

export interface ReferenceRequest {
  /** As the upstream knows it. */
  readonly repository: string;
  readonly reference: string;
  readonly accept: string;
  /** The client's own, as in `UpstreamRequest`: it shares work with nobody but itself. Absent: the mirror's. */
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
}

/** Something, and the moment just before the upstream was asked for it (ms since 1970): it is no newer than that. */
export interface Dated<T> {
  readonly value: T;
  readonly askedAt: number;
}

/** A cached tag waits this long at most to hear whether it still stands; after that it is served as it is. Milliseconds. */
const checkMs = 1_000;
/** An answer that comes later is heard for this long, for those who ask next. Milliseconds. */
const lateMs = 10_000;
/** For this long after such a failure nobody waits again. Milliseconds. */
export const failureMs = 2_000;
/** A manifest of 4 MiB that drips in may take this long, a cold HEAD as well. Milliseconds. */
export const fetchMs = 60_000;

/** Manifests remembered, and how large one may be (bytes): 4 MiB of memory at most. */
const rememberedCount = 64;
const rememberedBytes = 64 * 1024;

export class TagReader {
  readonly #client: UpstreamClient;
  readonly #onAnswer: (object: 'head' | 'manifest') => void;
  readonly #now: () => number;
  readonly #fetched = new BoundedMap<string, Manifest>(rememberedCount);
  readonly #checks = new SharedWork<Dated<StatedManifest | undefined>>({ limitMs: checkMs, failureMs });
  readonly #asked = new SharedWork<Dated<StatedManifest | undefined>>({ limitMs: lateMs, failureMs });
  readonly #heads = new SharedWork<Dated<StatedManifest | undefined>>({ limitMs: fetchMs, failureMs });
  readonly #manifests = new SharedWork<Dated<Manifest>>({ limitMs: fetchMs, failureMs });
  readonly #near = new SharedWork<Manifest>({ limitMs: fetchMs, failureMs });

  /** `onAnswer` is told that the upstream has answered well. */
  constructor(
    client: UpstreamClient,
    onAnswer: (object: 'head' | 'manifest') => void = () => {},
    now: () => number = Date.now,
  ) {
    this.#client = client;
    this.#onAnswer = onAnswer;
    this.#now = now;
  }

  /**
   * What a tag is upstream now, within a second. Rejects as `headManifest` does, also at once after a failure. `onLate` is told what an upstream says
   * that takes longer.
   */
  check(
    request: ReferenceRequest,
    onLate: (said: Dated<StatedManifest | undefined>) => void,
  ): Promise<Dated<StatedManifest | undefined>> {
    const key = keyOf(request);
    return this.#checks.run(key, request.signal, async (signal) => {
      const asked = this.#asked.run(key, new AbortController().signal, (limit) =>
        this.#dated(() => this.#head({ ...request, signal: limit })),
      );
      try {
        return await waitFor(asked, signal);
      } catch (error) {
        asked.then(onLate, () => undefined);
        throw toUpstreamError(error, this.#client.origin.host);
      }
    });
  }

  /** The same without the hurry, for a tag of which nothing is known yet. */
  head(request: ReferenceRequest): Promise<Dated<StatedManifest | undefined>> {
    return this.#heads.run(keyOf(request), request.signal, (signal) =>
      this.#dated(() => this.#head({ ...request, signal })),
    );
  }

  /** The manifest of that digest, if it was fetched lately. */
  remembered(request: Omit<ReferenceRequest, 'signal'>, digest: string): Manifest | undefined {
    return this.#fetched.get(keyOf({ ...request, reference: digest }));
  }

  /**
   * The manifest itself, verified. What it brought is remembered: clients whose copies are over at slightly different
   * moments get what one GET brought.
   */
  fetch(request: ReferenceRequest): Promise<Dated<Manifest>> {
    return this.#manifests.run(keyOf(request), request.signal, async (signal) => {
      const fetched = await this.#dated(() => this.#get({ ...request, signal }));
      this.remember(request, fetched.value);
      return fetched;
    });
  }

  /**
   * The same, but `nearer` is tried first; it resolves to nothing when the upstream must be asked. Those who may not ask others
   * (`fetch`) never wait for this: it may be waiting for them.
   */
  fetchNear(
    request: ReferenceRequest,
    nearer: (signal: AbortSignal) => Promise<Manifest | undefined>,
  ): Promise<Manifest> {
    return this.#near.run(keyOf(request), request.signal, async (signal) => {
      return (await nearer(signal)) ?? (await this.fetch({ ...request, signal })).value;
    });
  }

  /** Keeps a manifest for those who are about to ask for the same. */
  remember(request: Omit<ReferenceRequest, 'signal'>, manifest: Manifest): void {
    if (manifest.bytes.length > rememberedBytes) return;
    this.#fetched.set(keyOf({ ...request, reference: manifest.digest }), manifest);
  }

  async #head(request: ReferenceRequest): Promise<StatedManifest | undefined> {
    const head = await headManifest(this.#client, request);
    this.#onAnswer('head');
    return head;
  }

  async #get(request: ReferenceRequest): Promise<Manifest> {
    const manifest = await fetchManifest(this.#client, request);
    this.#onAnswer('manifest');
    return manifest;
  }

  async #dated<T>(work: () => Promise<T>): Promise<Dated<T>> {
    const askedAt = this.#now();
    return { value: await work(), askedAt };
  }
}

/** One text for all that decides over what a reference means, and to whom. */
export function keyOf(request: Omit<ReferenceRequest, 'signal'>): string {
  const { repository, reference, accept, authorization } = request;
  return `${repository} ${reference} ${authorizationKey(authorization)} ${accept}`;
}
