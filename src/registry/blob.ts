/** Reads a range of a blob so that a broken connection, a dying source or a wrong range never shows in the bytes. */
import { createHash } from 'node:crypto';
import { type BlobRange, type BlobWindow, checkWindow } from './blob-range.ts';
import type { BlobAnswer, BlobRequest, BlobSource } from './blob-source.ts';
import { BoundedMap } from './bounded-map.ts';
import { finishDigest } from './digest.ts';
import { elapsedMs } from './elapsed.ts';
import { HeldBodies } from './held-bodies.ts';
import { OpenBody } from './open-body.ts';
import { discard } from './read-body.ts';
import { UpstreamBlobs } from './upstream-blobs.ts';
import type { UpstreamClient } from './upstream-client.ts';
import { toUpstreamError, UpstreamError, UpstreamStatusError } from './upstream-error.ts';

/** A part of a blob, or all of it. `body` throws rather than end early or give a byte too many. */
export interface Blob {
  readonly window: BlobWindow;
  readonly body: AsyncGenerator<Buffer, void, undefined>;
  /** True when the upstream itself was asked for some of what was read so far. */
  readonly fromUpstream: () => boolean;
}

/** An answer that holds `window`, and who can be asked for what it turns out to lack: never nobody. */
interface Opened {
  readonly source: BlobSource;
  readonly others: readonly BlobSource[];
  readonly body: OpenBody;
  readonly window: BlobWindow;
}

/** A size that was stated wrongly once may be corrected after this. Milliseconds. */
const sizeMs = 10 * 60_000;
/** How often a body that broke is taken up again within one request. */
const maxResumes = 4;

export class BlobReader {
  readonly #upstream: BlobSource;
  /** Sizes seen, so that two slices of one blob never come from objects of two sizes. */
  readonly #sizes = new BoundedMap<string, { readonly total: number; readonly at: number }>(4096);
  readonly #held = new HeldBodies();
  readonly #now: () => number;

  constructor(client: UpstreamClient, now: () => number = elapsedMs) {
    this.#upstream = new UpstreamBlobs(client);
    this.#now = now;
  }

  /**
   * Asks `nearer` sources in their order, then the upstream. Resolves when one has answered usably. Rejects with
   * `UpstreamStatusError` for a status that is not the blob's (404, 416, 429, ...), with `UpstreamError` for anything else.
   */
  async open(request: BlobRequest, nearer: readonly BlobSource[] = []): Promise<Blob> {
    const sources = [...nearer, this.#upstream];
    const opened = await this.#ask(request, request.range, sources);
    const { window } = opened;
    const used = new Set([opened.source]);
    const pieces = this.#pieces(request, opened, (source) => used.add(source));
    const isWhole = window.start === 0 && (window.total === undefined || window.end === window.total - 1);
    const body = isWhole ? this.#verified(request, pieces, sources) : pieces;
    return { window, body, fromUpstream: () => used.has(this.#upstream) };
  }

  /** The first of `sources` that answers usably, or whose failure is the answer. */
  async #ask(
    request: BlobRequest,
    range: BlobRange | undefined,
    [source = this.#upstream, ...others]: readonly BlobSource[],
  ): Promise<Opened> {
    try {
      const body = await this.#bodyOf(source, request, range);
      const window = await this.#check(body.answer, request.digest.text, range);
      return { source, others, body, window };
    } catch (error) {
      if (others.length === 0 || request.signal.aborted || source.hasLastWord(error)) throw error;
      return this.#ask(request, range, others);
    }
  }

  async #bodyOf(source: BlobSource, request: BlobRequest, range: BlobRange | undefined): Promise<OpenBody> {
    const start = range?.start ?? 0;
    const held = source === this.#upstream ? this.#held.take(request, start) : undefined;
    return (
      held ?? OpenBody.open(request.signal, start, (signal) => askFor(source, { ...request, signal }, range))
    );
  }

  async #check(answer: BlobAnswer, digest: string, range: BlobRange | undefined): Promise<BlobWindow> {
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
    first: Opened,
    onSource: (source: BlobSource) => void,
  ): AsyncGenerator<Buffer, void> {
    const { window } = first;
    let [opened, at] = [first, window.start];
    for (let resumes = 0; ; resumes++) {
      const { body, source } = opened;
      const host = body.answer.url.host;
      try {
        for await (const piece of part(body, at, window)) {
          at += piece.length;
          source.received(piece.length);
          yield piece;
        }
        if (isComplete(at, window)) return;
        throw new UpstreamError('broken', `${host}: expected byte ${window.end}, got ${at} bytes`);
      } catch (error) {
        const failure = toUpstreamError(request.signal.aborted ? request.signal.reason : error, host);
        if (resumes === maxResumes || !isResumable(failure, window) || request.signal.aborted) throw failure;
      } finally {
        this.#leave(request, opened, window);
      }
      // It broke between the last byte and the end of its framing.
      if (isComplete(at, window)) return;
      source.broke();
      opened = await this.#resume(request, at, { ...opened, window });
      onSource(opened.source);
    }
  }

  /** What comes after a part that was cut out of the upstream's whole is held for those who ask for it next. */
  #leave(request: BlobRequest, { source, body }: Opened, window: BlobWindow): void {
    const isAtCut = isCut(body.answer, window) && body.position === (window.end ?? 0) + 1;
    if (isAtCut && source === this.#upstream && !request.signal.aborted) this.#held.hold(request, body);
    else body.close();
  }

  /** One that died in the middle is asked again only when there is nobody else. */
  async #resume(request: BlobRequest, at: number, { source, others, window }: Opened): Promise<Opened> {
    const range = { start: at, end: window.end ?? at };
    const rest = await this.#ask(request, range, others.length === 0 ? [source] : others);
    const { answer } = rest.body;
    const isRest = answer.status === 200 || rest.window.end === window.end;
    if (rest.window.total === window.total && isRest) return rest;
    await discard(answer);
    throw new UpstreamError('answer', `${answer.url.host}: expected the rest of a blob, got another part`);
  }

  /** Holds each piece back until the next has come, so that a whole blob of wrong bytes is never whole for the reader. */
  async *#verified(
    request: BlobRequest,
    pieces: AsyncGenerator<Buffer, void>,
    sources: readonly BlobSource[],
  ): AsyncGenerator<Buffer, void> {
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
      for (const source of sources) source.distrust(request);
      throw new UpstreamError('digest', `${this.#upstream.host}: expected ${digest.text}, got other bytes`);
    }
    if (held !== undefined) yield held;
  }
}

/** An empty blob has no first byte: asked for a range of it, servers answer 416. */
async function askFor(
  source: BlobSource,
  request: BlobRequest,
  range: BlobRange | undefined,
): Promise<BlobAnswer> {
  try {
    return await source.ask(request, range);
  } catch (error) {
    const isEmpty = error instanceof UpstreamStatusError && error.status === 416 && range?.start === 0;
    if (!isEmpty) throw error;
    return source.ask(request, undefined);
  }
}

/** The pieces of a body from byte `at` to the window's end; of an answer that ignored Range what is before is dropped. */
async function* part(body: OpenBody, at: number, window: BlobWindow): AsyncGenerator<Buffer, void> {
  const { status, url } = body.answer;
  const end = window.end ?? Number.POSITIVE_INFINITY;
  for (let piece = await body.next(); piece !== undefined; piece = await body.next()) {
    const start = body.position - piece.length;
    if (status === 206 && body.position > end + 1) {
      throw new UpstreamError('answer', `${url.host}: expected bytes up to ${end}, got more`);
    }
    const wanted = piece.subarray(Math.max(0, at - start), Math.max(0, end + 1 - start));
    if (wanted.length > 0) yield wanted;
    if (body.position <= end || !isCut(body.answer, window)) continue;
    body.putBack(piece.subarray(end + 1 - start));
    return;
  }
}

/** Not at the blob's own end: a body that was read to its end leaves a connection that can be used again. */
function isCut({ status }: BlobAnswer, { end, total }: BlobWindow): boolean {
  return status === 200 && end !== undefined && total !== undefined && end < total - 1;
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
