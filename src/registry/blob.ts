/** Reads a range of a blob so that a broken connection, an expired redirect or a wrong range never shows in the bytes. */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type BlobRange, type BlobWindow, checkWindow } from './blob-range.ts';
import { BlobTargets } from './blob-targets.ts';
import { BoundedMap } from './bounded-map.ts';
import { type Digest, finishDigest } from './digest.ts';
import { discard } from './read-body.ts';
import type { UpstreamAnswer, UpstreamClient } from './upstream-client.ts';
import { toUpstreamError, UpstreamError } from './upstream-error.ts';

export interface BlobRequest {
  readonly repository: string;
  readonly digest: Digest;
  /** Absent: the whole blob. */
  readonly range: BlobRange | undefined;
  readonly signal: AbortSignal;
}

/** A part of a blob, or all of it. `body` throws rather than end early or give a byte too many. */
export interface Blob {
  readonly window: BlobWindow;
  readonly body: AsyncGenerator<Buffer, void, undefined>;
}

/** Pauses before an answer of 5xx is asked for again, in milliseconds. A slice that fails costs a client its download. */
const statusPauses = [100, 400];
/** A size that was stated wrongly once may be corrected after this. Milliseconds. */
const sizeMs = 10 * 60_000;
/** How often a body that broke is taken up again within one request. */
const maxResumes = 4;

export class BlobReader {
  readonly #client: UpstreamClient;
  readonly #targets: BlobTargets;
  /** Sizes seen, so that two slices of one blob never come from objects of two sizes. */
  readonly #sizes = new BoundedMap<string, { readonly total: number; readonly at: number }>(4096);
  readonly #now: () => number;

  constructor(client: UpstreamClient, now: () => number = Date.now) {
    this.#client = client;
    this.#now = now;
    this.#targets = new BlobTargets(client);
  }

  /**
   * Resolves when the upstream has answered usably. Rejects with `UpstreamStatusError` for a status that is not the
   * blob's (404, 416, 429, ...), with `UpstreamError` for anything else.
   */
  async open(request: BlobRequest): Promise<Blob> {
    const answer = await this.#locate(request, request.range);
    const window = await this.#check(answer, request.digest.text, request.range);
    const pieces = this.#pieces(request, answer, window);
    const isWhole = window.start === 0 && (window.total === undefined || window.end === window.total - 1);
    return { window, body: isWhole ? this.#verified(request, pieces) : pieces };
  }

  async #locate(request: BlobRequest, range: BlobRange | undefined): Promise<UpstreamAnswer> {
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#targets.get(request.repository, request.digest.text, range, request.signal);
      if (answer.status === 200 || answer.status === 206) return answer;
      const refusal = await this.#client.refuse(answer);
      const pause = statusPauses[attempt];
      // An empty blob has no first byte: asked for a range of it, servers answer 416.
      if (answer.status === 416 && range?.start === 0) return this.#locate(request, undefined);
      if (answer.status < 500 || pause === undefined || refusal.retryAfterSeconds !== undefined)
        throw refusal;
      this.#client.counters.retries++;
      await delay(pause, undefined, { signal: request.signal });
    }
  }

  async #check(answer: UpstreamAnswer, digest: string, range: BlobRange | undefined): Promise<BlobWindow> {
    try {
      const window = checkWindow(answer, range);
      this.#checkSize(digest, window.total, answer.url.host);
      return window;
    } catch (error) {
      await discard(answer);
      throw error;
    }
  }

  #checkSize(digest: string, total: number | undefined, host: string): void {
    if (total === undefined) return;
    const known = this.#sizes.get(digest);
    if (known !== undefined && known.total !== total && this.#now() < known.at + sizeMs) {
      throw new UpstreamError(
        'answer',
        `${host}: expected a blob of ${known.total} bytes, got one of ${total}`,
      );
    }
    if (known?.total !== total) this.#sizes.set(digest, { total, at: this.#now() });
  }

  /** The window's bytes; where a body ends early, the rest is asked for from there. */
  async *#pieces(
    request: BlobRequest,
    first: UpstreamAnswer,
    window: BlobWindow,
  ): AsyncGenerator<Buffer, void> {
    let [answer, at] = [first, window.start];
    for (let resumes = 0; ; resumes++) {
      const host = answer.url.host;
      try {
        for await (const piece of part(answer, at, window)) {
          at += piece.length;
          this.#client.counters.bytes += piece.length;
          yield piece;
        }
        if (isComplete(at, window)) return;
        throw new UpstreamError('broken', `${host}: expected byte ${window.end}, got ${at} bytes`);
      } catch (error) {
        const failure = toUpstreamError(request.signal.aborted ? request.signal.reason : error, host);
        if (resumes === maxResumes || !isResumable(failure, window) || request.signal.aborted) throw failure;
      }
      this.#client.counters.retries++;
      answer = await this.#resume(request, at, window);
    }
  }

  async #resume(request: BlobRequest, at: number, window: BlobWindow): Promise<UpstreamAnswer> {
    const range = { start: at, end: window.end ?? at };
    const answer = await this.#locate(request, range);
    const rest = await this.#check(answer, request.digest.text, range);
    if (rest.total === window.total && (answer.status === 200 || rest.end === window.end)) return answer;
    await discard(answer);
    throw new UpstreamError('answer', `${answer.url.host}: expected the rest of a blob, got another part`);
  }

  /** Holds each piece back until the next has come, so that a whole blob of wrong bytes is never whole for the reader. */
  async *#verified(request: BlobRequest, pieces: AsyncGenerator<Buffer, void>): AsyncGenerator<Buffer, void> {
    const { digest } = request;
    const hash = createHash(digest.algorithm);
    let held: Buffer | undefined;
    for await (const piece of pieces) {
      hash.update(piece);
      if (held !== undefined) yield held;
      held = piece;
    }
    if (finishDigest(hash, digest.algorithm) !== digest.text) {
      this.#sizes.delete(digest.text);
      this.#targets.forget(request.repository, digest.text);
      throw new UpstreamError(
        'digest',
        `${this.#client.origin.host}: expected ${digest.text}, got other bytes`,
      );
    }
    if (held !== undefined) yield held;
  }
}

/** The pieces of an answer from byte `at` to the window's end; of an answer that ignored Range the rest is dropped. */
async function* part(answer: UpstreamAnswer, at: number, window: BlobWindow): AsyncGenerator<Buffer, void> {
  const end = window.end ?? Number.POSITIVE_INFINITY;
  let position = answer.status === 206 ? at : 0;
  for await (const piece of answer.body as AsyncIterable<Buffer>) {
    const wanted = piece.subarray(Math.max(0, at - position), Math.max(0, end + 1 - position));
    position += piece.length;
    if (answer.status === 206 && position > end + 1) {
      throw new UpstreamError('answer', `${answer.url.host}: expected bytes up to ${end}, got more`);
    }
    if (wanted.length > 0) yield wanted;
    // Not at the blob's own end: a body that was read to its end leaves a connection that can be used again.
    if (position > end && window.total !== undefined && end < window.total - 1 && answer.status === 200)
      return;
  }
}

function isComplete(at: number, window: BlobWindow): boolean {
  return window.end === undefined || at === window.end + 1;
}

/** Without a known size nobody can say where to go on. */
function isResumable(failure: Error, window: BlobWindow): boolean {
  const isCutOff =
    failure instanceof UpstreamError && (failure.code === 'broken' || failure.code === 'timeout');
  return isCutOff && window.end !== undefined;
}
