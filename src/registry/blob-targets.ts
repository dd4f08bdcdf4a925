/** Remembers where an upstream redirects a blob to, for as long as that place serves it. */
import { authorizationKey } from './authorization-key.ts';
import type { BlobRange } from './blob-range.ts';
import type { BlobRequest } from './blob-source.ts';
import { BoundedMap } from './bounded-map.ts';
import { discard } from './read-body.ts';
import type { UpstreamAnswer, UpstreamClient, UpstreamRequest } from './upstream-client.ts';
import { waitFor } from './wait-for.ts';

/** `here`: the upstream serves it where it is asked. `unknown`: the one who found out got nothing that stands for the others. */
type Target = Place | 'here' | 'unknown' | { readonly error: unknown };

/** Where a redirect led: elsewhere, or to another path of the upstream, as Google's registries do. */
type Place = Pick<UpstreamAnswer, 'url' | 'foreign'>;

export class BlobTargets {
  readonly #client: UpstreamClient;
  readonly #targets = new BoundedMap<string, Promise<Target>>(4096);

  constructor(client: UpstreamClient) {
    this.#client = client;
  }

  /**
   * Asks for a range of a blob where it is known to lie. Those who ask while that is being found out wait for it, so
   * that one redirect serves all slices. A place that no longer serves it (a signed URL that expired) is forgotten,
   * and the upstream asked again, once. Where one client is led no other is: a signed URL is a credential.
   */
  async get(blob: BlobRequest, range: BlobRange | undefined): Promise<UpstreamAnswer> {
    const request = upstreamRequest(blob, range);
    const { signal } = request;
    const key = keyOf(blob);
    for (let round = 0; round < 2; round++) {
      const known = this.#targets.get(key);
      if (known === undefined) break;
      const target = await waitFor(known, signal);
      if (target === 'here') return this.#client.request(request);
      if (isPlace(target)) {
        const answer = await this.#ask(target, request);
        if (answer !== undefined) return answer;
      } else if (target !== 'unknown') throw target.error;
      if (this.#targets.get(key) === known) this.#targets.delete(key);
    }
    return this.#find(key, request);
  }

  /** Makes the next request ask the upstream again, after bytes that were not the blob's. */
  forget(blob: BlobRequest): void {
    this.#targets.delete(keyOf(blob));
  }

  /** Undefined when the target does not serve the blob (any more). */
  async #ask(target: Place, request: UpstreamRequest): Promise<UpstreamAnswer | undefined> {
    try {
      const answer = await this.#client.requestAt(target, request);
      if (answer.status === 200 || answer.status === 206 || answer.status === 416) return answer;
      await discard(answer);
    } catch (error) {
      if (request.signal.aborted) throw error;
    }
    return undefined;
  }

  async #find(key: string, request: UpstreamRequest): Promise<UpstreamAnswer> {
    const finding = this.#client.request(request);
    const here = this.#client.urlOf(request).href;
    const target = finding.then(
      (answer) => targetOf(answer, here),
      (error): Target => (request.signal.aborted ? 'unknown' : { error }),
    );
    this.#targets.set(key, target);
    const found = await target;
    const isLasting = found === 'here' || isPlace(found);
    if (!isLasting && this.#targets.get(key) === target) this.#targets.delete(key);
    return finding;
  }
}

function upstreamRequest(blob: BlobRequest, range: BlobRange | undefined): UpstreamRequest {
  const { repository, digest, authorization, signal } = blob;
  const headers = range === undefined ? {} : { range: `bytes=${range.start}-${range.end}` };
  return { method: 'GET', repository, path: `blobs/${digest.text}`, headers, authorization, signal };
}

function keyOf({ repository, digest, authorization }: BlobRequest): string {
  return `${repository}@${digest.text} ${authorizationKey(authorization)}`;
}

function targetOf({ status, url, foreign }: UpstreamAnswer, here: string): Target {
  if (status !== 200 && status !== 206) return 'unknown';
  return foreign || url.href !== here ? { url, foreign } : 'here';
}

function isPlace(target: Target): target is Place {
  return typeof target === 'object' && 'url' in target;
}
