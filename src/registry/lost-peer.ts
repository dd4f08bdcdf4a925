/** Tells a peer that is slow to answer from one that is gone, of which a connection that was open before hears nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import { toUpstreamError, UpstreamError } from './upstream-error.ts';

/** After so much silence a peer is asked for a new connection. Milliseconds. */
export const defaultSilenceMs = 3_000;

export interface LostPeerOptions {
  readonly silenceMs: number;
  /** Makes a connection and closes it; rejects with what a connector fails with. */
  readonly reach: (url: URL) => Promise<void>;
}

/** What was found out about a peer; `lost` once that is the answer. */
interface Finding {
  readonly answer: Promise<UpstreamError | undefined>;
  lost?: UpstreamError | undefined;
}

export class LostPeers {
  readonly #options: LostPeerOptions;
  /** By origin; each stands for one silence. */
  readonly #findings = new Map<string, Finding>();

  constructor(options: LostPeerOptions) {
    this.#options = options;
  }

  /**
   * Returns what `ask` does. While it goes on, the peer is asked for a new connection after each silence, once for all who wait;
   * one that lets nobody in any more ends `ask` by its signal, and rejects with `timeout`, at once for those who come within another
   * silence. A peer that refuses connections or closes them may be on its way out with our answer still to come: it is waited for.
   */
  async whileReachable<T>(
    url: URL,
    signal: AbortSignal,
    ask: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const known = this.#findings.get(url.origin)?.lost;
    if (known !== undefined) throw known;
    const answered = new AbortController();
    const lost = new AbortController();
    void this.#watch(url, answered.signal, lost);
    try {
      return await ask(AbortSignal.any([signal, lost.signal]));
    } finally {
      answered.abort();
    }
  }

  async #watch(url: URL, answered: AbortSignal, lost: AbortController): Promise<void> {
    while (await pause(this.#options.silenceMs, answered)) {
      const error = await this.#loss(url);
      // Once it has answered, the body is not to be broken.
      if (error !== undefined && !answered.aborted) return lost.abort(error);
    }
  }

  /** The error by which `url`'s host is gone; undefined while it is not. */
  #loss(url: URL): Promise<UpstreamError | undefined> {
    const known = this.#findings.get(url.origin);
    if (known !== undefined) return known.answer;
    const answer = this.#options.reach(url).then(
      () => undefined,
      (error: unknown) => lossOf(error, url.host),
    );
    const finding: Finding = { answer };
    this.#findings.set(url.origin, finding);
    void answer.then((error) => {
      finding.lost = error;
      setTimeout(() => this.#findings.delete(url.origin), this.#options.silenceMs).unref();
    });
    return answer;
  }
}

function lossOf(cause: unknown, host: string): UpstreamError | undefined {
  const error = toUpstreamError(cause, host);
  if (!(error instanceof UpstreamError) || error.code !== 'timeout') return undefined;
  return new UpstreamError('timeout', `${host}: no answer, and no new connection either`, { cause });
}

/** False when `signal` ended it. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}
