/**
 * Brings images into a cache by pulling them through its own nginx, as a client would: what is there already costs the disk's
 * time, what is missing comes from the owner replica or the upstream, once. Started by `src/cli/warm.ts`.
 */
import { errorMessage } from '../../observe/error-message.ts';
import { fetchManifest, headTag } from './fetch-manifest.ts';
import type { LocalCache } from './local-cache.ts';
import type { Descriptor } from './manifest-content.ts';
import type { PlatformChoice } from './platform.ts';
import { readBlob } from './read-blob.ts';
import { type ImageContent, resolveImage } from './resolve-image.ts';
import { defaultRetryLimits, Retries, type RetryLimits } from './retries.ts';
import { WarmError } from './warm-error.ts';
import type { WarmEvent } from './warm-event.ts';

/** An image in a mirror; `text` is how the user wrote it. */
export interface ImageToWarm {
  readonly text: string;
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
}

export interface WarmOptions {
  readonly cache: LocalCache;
  readonly choice: PlatformChoice;
  /** Blobs read at once. */
  readonly parallel: number;
  /** Removes what turned out to be other bytes than its digest says. */
  readonly purge: (repository: string, digest: string) => Promise<unknown>;
  /** Whether the cache has the whole of a blob that was read. */
  readonly isKept: (blob: Descriptor) => Promise<boolean>;
  readonly emit: (event: WarmEvent) => void;
  readonly signal: AbortSignal;
  /** The default is for production. */
  readonly retryLimits?: RetryLimits;
}

const progressMs = 500;

/** One image after the other; resolves with false when one failed, rejects when `signal` aborts. */
export async function warmImages(images: readonly ImageToWarm[], options: WarmOptions): Promise<boolean> {
  const cached = new Set<string>();
  let complete = true;
  for (const image of images) {
    try {
      await new ImageRun(image, options, cached).run();
    } catch (error) {
      options.signal.throwIfAborted();
      const code = error instanceof WarmError ? error.code : 'error';
      options.emit({ event: 'failed', image: image.text, code, message: errorMessage(error) });
      complete = false;
    }
  }
  return complete;
}

class ImageRun {
  readonly #image: ImageToWarm;
  readonly #options: WarmOptions;
  /** Digests of blobs read to their end, this image's and earlier ones'. */
  readonly #cached: Set<string>;
  /** Ends all of this image's downloads when one failed. */
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #bytes = 0;

  constructor(image: ImageToWarm, options: WarmOptions, cached: Set<string>) {
    this.#image = image;
    this.#options = options;
    this.#cached = cached;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  async run(): Promise<void> {
    const startedAt = performance.now();
    const { text } = this.#image;
    const { emit, choice } = this.#options;
    const top = await this.#top();
    const { digest } = top;
    const content = await resolveImage(top, choice, (reference) => this.#manifest(reference));
    for (const { digest, mediaType } of content.foreign) {
      emit({ event: 'skipped', image: text, digest: digest.text, mediaType });
    }
    const total = content.blobs.reduce((sum, { size }) => sum + size, 0);
    const counts = { blobs: content.blobs.length, bytes: total };
    emit({ event: 'resolved', image: text, digest, platforms: [...content.platforms], ...counts });
    await this.#readAll(content, total);
    await this.#assertKept(content);
    const seconds = (performance.now() - startedAt) / 1000;
    emit({ event: 'done', image: text, digest, ...counts, seconds });
  }

  /** By tag as well as by digest: clients use both, and each is an entry of its own in the cache. */
  async #top() {
    const { repository, reference } = this.#image;
    const top = await this.#manifest(reference);
    if (top.digest === reference) return top;
    await this.#retrying(() => headTag(this.#options.cache, repository, reference, this.#signal));
    return this.#manifest(top.digest);
  }

  #manifest(reference: string) {
    const { repository } = this.#image;
    const fetch = () => fetchManifest(this.#options.cache, repository, reference, this.#signal);
    return this.#purgingWrong(reference, () => this.#retrying(fetch));
  }

  async #readAll({ blobs }: ImageContent, total: number): Promise<void> {
    const { emit, parallel } = this.#options;
    let told = -1;
    const tell = () => {
      if (told === this.#bytes) return;
      told = this.#bytes;
      emit({ event: 'progress', image: this.#image.text, bytes: this.#bytes, total });
    };
    const timer = setInterval(tell, progressMs);
    const queue = blobs.values();
    const worker = async () => {
      for (const blob of queue) await this.#read(blob);
    };
    try {
      await this.#allOrNone(Array.from({ length: parallel }, worker));
      tell();
    } finally {
      clearInterval(timer);
    }
  }

  async #assertKept({ blobs }: ImageContent): Promise<void> {
    const kept = await Promise.all(blobs.map((blob) => this.#options.isKept(blob)));
    this.#signal.throwIfAborted();
    const lost = blobs.filter((_, at) => !kept[at]);
    for (const { digest } of lost) this.#cached.delete(digest.text);
    if (lost.length === 0) return;
    throw new WarmError(
      'notKept',
      `${lost.length} of ${blobs.length} blobs were read and are not kept: the cache is full, too small, or cannot be written to`,
    );
  }

  /** Rejects with the first failure, once the others have been ended. */
  async #allOrNone(workers: readonly Promise<void>[]): Promise<void> {
    const failures: unknown[] = [];
    const fail = (error: unknown) => {
      failures.push(error);
      this.#stop.abort(new Error('another blob failed'));
    };
    await Promise.all(workers.map((worker) => worker.catch(fail)));
    if (failures.length > 0) throw failures[0];
  }

  async #read(blob: Descriptor): Promise<void> {
    const digest = blob.digest.text;
    if (this.#cached.has(digest)) {
      this.#bytes += blob.size;
      return;
    }
    const { cache } = this.#options;
    const { repository } = this.#image;
    const onBytes = (count: number) => {
      this.#bytes += count;
    };
    const reading = { cache, repository, blob, retries: this.#retries(), onBytes, signal: this.#signal };
    await this.#purgingWrong(digest, () => readBlob(reading));
    this.#cached.add(digest);
  }

  /** Wrong bytes must not be what the next client gets. */
  async #purgingWrong<T>(digest: string, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof WarmError) || error.code !== 'digest') throw error;
      await this.#options.purge(this.#image.repository, digest).catch((cause: unknown) => {
        throw new WarmError('digest', `${error.message}; they could not be removed`, { cause });
      });
      throw error;
    }
  }

  async #retrying<T>(attempt: () => Promise<T>): Promise<T> {
    const retries = this.#retries();
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        await retries.wait(error);
      }
    }
  }

  #retries(): Retries {
    const { emit, retryLimits = defaultRetryLimits } = this.#options;
    return new Retries(retryLimits, this.#signal, ({ message }) =>
      emit({ event: 'retried', image: this.#image.text, message }),
    );
  }
}
