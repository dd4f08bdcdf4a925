/** What is known of one other replica: whether it can be connected to, and what is being waited for from it. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import type { Dispatcher } from 'undici';
import { elapsedMs } from '../../../registry/elapsed.ts';
import { lookupOnce } from '../../../registry/resolve.ts';
import { type HttpAnswer, userAgent } from '../../../registry/transport.ts';
import { toUpstreamError, UpstreamError } from '../../../registry/upstream-error.ts';
import type { Replica } from '../../cache-config.ts';
import { UnreachableError } from './connect.ts';

export interface PeerRequest {
  readonly method: 'GET' | 'HEAD';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** One that could not be connected to is not tried again for this long. Milliseconds. */
const breakMs = 5_000;
/** How often one that lets us wait is asked whether it is there at all, and how long it may take to say so. Milliseconds. */
const probeEveryMs = 2_000;
const probeMs = 3_000;
/** One that takes connections may be busy for so long. Milliseconds. */
const hangMs = 10_000;

export class PeerLink {
  readonly replica: Replica;
  readonly #now: () => number;
  /** Everything asked that has not ended. */
  readonly #waiting = new Set<AbortController>();
  #brokenUntil = 0;
  #isWatched = false;

  constructor(replica: Replica, now: () => number = elapsedMs) {
    this.replica = replica;
    this.#now = now;
  }

  get url(): URL {
    const { host, port } = this.replica;
    return new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}/`);
  }

  /** False for a while after it could not be connected to. */
  get isThere(): boolean {
    return this.#now() >= this.#brokenUntil;
  }

  /**
   * Asks it and waits for as long as it is there: it may be waiting for a slow upstream. Rejects with `UpstreamError`
   * when it cannot be connected to, or is gone before it answers; later its going breaks the body.
   */
  async send(dispatcher: Dispatcher, request: PeerRequest): Promise<HttpAnswer> {
    const gone = new AbortController();
    this.#waiting.add(gone);
    this.#watch();
    const signal = AbortSignal.any([request.signal, gone.signal]);
    try {
      const answer = await this.#attempt(dispatcher, { ...request, signal });
      answer.body.once('close', () => this.#waiting.delete(gone));
      return answer;
    } catch (error) {
      this.#waiting.delete(gone);
      if (error instanceof UnreachableError) this.#break();
      throw toUpstreamError(signal.aborted ? signal.reason : error, this.replica.name);
    }
  }

  /** A kept connection that the other end has closed in the meantime says nothing: a new one does. */
  async #attempt(dispatcher: Dispatcher, request: PeerRequest): Promise<HttpAnswer> {
    try {
      return await ask(dispatcher, this.url, request);
    } catch (error) {
      if (request.signal.aborted || !isBroken(error)) throw error;
      return ask(dispatcher, this.url, request);
    }
  }

  #break(): void {
    this.#brokenUntil = this.#now() + breakMs;
  }

  /** A replica whose node is gone closes no connection: nothing would ever be heard of it. */
  #watch(): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    const watch = async () => {
      while (this.#waiting.size > 0) {
        await delay(probeEveryMs, undefined, { ref: false });
        if (this.#waiting.size === 0 || (await answers(this.replica))) continue;
        this.#break();
        for (const waiting of this.#waiting) {
          waiting.abort(new UpstreamError('broken', `${this.replica.name}: gone`));
        }
        this.#waiting.clear();
      }
      this.#isWatched = false;
    };
    watch().catch(() => {});
  }
}

async function ask(dispatcher: Dispatcher, url: URL, request: PeerRequest): Promise<HttpAnswer> {
  const { method, path, headers, signal } = request;
  const {
    statusCode,
    headers: got,
    body,
  } = await dispatcher.request({
    origin: url.origin,
    path,
    method,
    headers: { 'user-agent': userAgent, 'accept-encoding': 'identity', ...headers },
    signal,
  });
  return { status: statusCode, headers: got, body };
}

function isBroken(error: unknown): boolean {
  if (error instanceof UnreachableError) return false;
  const failure = toUpstreamError(error, '');
  return failure instanceof UpstreamError && failure.code === 'broken';
}

/**
 * One that refuses connections is ending, and closes those it has when it does; only silence means that nobody is there. The kernel takes connections
 * for a process that hangs, too: its nginx must say a word of TLS, whatever that is. A name that cannot be resolved now tells nothing of who is
 * connected already.
 */
async function answers({ host, port }: Replica): Promise<boolean> {
  const addresses = await lookupOnce(host).catch(() => undefined);
  if (addresses === undefined) return true;
  // Nothing is told it, and nothing believed.
  const socket = connect({
    host,
    port,
    rejectUnauthorized: false,
    lookup: (_host, _options, done) => done(null, addresses),
  });
  try {
    const refusal = await failureOf(once(socket, 'connect', { signal: AbortSignal.timeout(probeMs) }));
    if (refusal !== undefined) return refusal === 'ECONNREFUSED';
    const word = once(socket, 'secureConnect', { signal: AbortSignal.timeout(hangMs) });
    return (await failureOf(word)) !== 'ABORT_ERR';
  } finally {
    socket.on('error', () => {}).destroy();
  }
}

/** The code of what it failed with; undefined: it did not. */
async function failureOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN';
  }
}
