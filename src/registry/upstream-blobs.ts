/** The upstream as a source of blobs: where it redirects to, and failures that are worth a second try. */
import { setTimeout as delay } from 'node:timers/promises';
import type { BlobRange } from './blob-range.ts';
import type { BlobAnswer, BlobRequest, BlobSource } from './blob-source.ts';
import { BlobTargets } from './blob-targets.ts';
import type { UpstreamClient } from './upstream-client.ts';

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
      const answer = await this.#targets.get(request, range);
      if (answer.status === 200 || answer.status === 206) return answer;
      const refusal = await this.#client.refuse(answer);
      const pause = statusPauses[attempt];
      if (answer.status < 500 || pause === undefined || refusal.retryAfterSeconds !== undefined)
        throw refusal;
      this.broke();
      await delay(pause, undefined, { signal: request.signal });
    }
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
