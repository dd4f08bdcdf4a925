/** The upstream as a source of blobs: where it redirects to, and failures that are worth a second try. */
import { setTimeout as delay } from 'node:timers/promises';
import type { BlobRange } from './blob-range.ts';
import type { BlobAnswer, BlobRequest, BlobSource } from './blob-source.ts';
import { BlobTargets } from './blob-targets.ts';
import type { UpstreamClient } from './upstream-client.ts';
import { UpstreamStatusError } from './upstream-error.ts';

/** A limit that is over so soon is waited for. Seconds. */
const shortLimit = 2;
/** Pauses before an answer of 5xx is asked for again, in milliseconds. A slice that fails costs a client its download. */
const statusPauses = [100, 400];

export class UpstreamBlobs implements BlobSource {
  readonly #client: UpstreamClient;
  readonly #targets: BlobTargets;

  constructor(client: UpstreamClient) {
    this.#client = client;
    this.#targets = new BlobTargets(client);
  }

  get host(): string {
    return this.#client.origin.host;
  }

  async ask(request: BlobRequest, range: BlobRange | undefined): Promise<BlobAnswer> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#askOnce(request, range);
      } catch (error) {
        const pause = pauseBefore(error, attempt);
        if (pause === undefined || request.signal.aborted) throw error;
        this.broke();
        await delay(pause, undefined, { signal: request.signal });
      }
    }
  }

  async #askOnce(request: BlobRequest, range: BlobRange | undefined): Promise<BlobAnswer> {
    const answer = await this.#targets.get(request, range);
    if (answer.status === 200 || answer.status === 206) return answer;
    throw await this.#client.refuse(answer);
  }

  received(bytes: number): void {
    this.#client.counters.bytes += bytes;
  }

  broke(): void {
    this.#client.counters.retries++;
  }

  hasLastWord(): boolean {
    return true;
  }

  distrust(request: BlobRequest): void {
    this.#targets.forget(request);
  }
}

/** How long to wait before a failed request is sent again, in milliseconds; undefined: not at all. */
function pauseBefore(error: unknown, attempt: number): number | undefined {
  const pause = statusPauses[attempt];
  if (!(error instanceof UpstreamStatusError) || pause === undefined) return undefined;
  const { status, retryAfterSeconds } = error;
  if (status === 429 && retryAfterSeconds !== undefined && retryAfterSeconds <= shortLimit)
    return retryAfterSeconds * 1000;
  return status >= 500 && retryAfterSeconds === undefined ? pause : undefined;
}
