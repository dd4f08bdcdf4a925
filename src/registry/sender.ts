/** Sends the single requests of one upstream's client: counted, and again where a connection broke before it was answered. */
import { setTimeout as delay } from 'node:timers/promises';
import type { HttpAnswer, HttpRequest, Transport } from './transport.ts';
import type { UpstreamCounters } from './upstream-counters.ts';
import { UpstreamError } from './upstream-error.ts';

/** Pauses before a request is sent again. Milliseconds. */
const retryPauses = [50, 250];

export class Sender {
  readonly #transport: () => Transport;
  readonly #counters: UpstreamCounters;

  /** `transport` returns the connections to use at the time. */
  constructor(transport: () => Transport, counters: UpstreamCounters) {
    this.#transport = transport;
    this.#counters = counters;
  }

  /** Takes a GET or HEAD: both are idempotent, and an idle connection that the peer closed is no answer. */
  async send(url: URL, request: HttpRequest): Promise<HttpAnswer> {
    for (const pause of retryPauses) {
      try {
        return await this.#sendOnce(url, request);
      } catch (error) {
        const isBroken = error instanceof UpstreamError && error.code === 'broken';
        if (!isBroken || request.signal.aborted) throw error;
      }
      this.#counters.retries++;
      await delay(pause, undefined, { signal: request.signal });
    }
    return this.#sendOnce(url, request);
  }

  async #sendOnce(url: URL, request: HttpRequest): Promise<HttpAnswer> {
    this.#counters.requests++;
    try {
      const answer = await this.#transport().send(url, request);
      this.#count(answer.status === 429 ? '429' : `${Math.floor(answer.status / 100)}xx`);
      return answer;
    } catch (error) {
      this.#count('error');
      throw error;
    }
  }

  #count(status: string): void {
    const { byStatus } = this.#counters;
    byStatus[status] = (byStatus[status] ?? 0) + 1;
  }
}
