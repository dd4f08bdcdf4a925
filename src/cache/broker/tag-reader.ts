/** Tags and manifests of one mirror, each asked of the upstream once however many ask at the same time. */
import { authorizationKey } from '../../registry/authorization-key.ts';
import { BoundedMap } from '../../registry/bounded-map.ts';
import { fetchManifest, headManifest, type Manifest, type ManifestHead } from '../../registry/manifest.ts';
import type { UpstreamClient } from '../../registry/upstream-client.ts';
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

/** A cached tag waits this long at most to hear whether it still stands; after that it is served as it is. Milliseconds. */
const checkMs = 1_000;
/** For this long after such a failure nobody waits again. Milliseconds. */
const failureMs = 2_000;
/** A manifest of 4 MiB that drips in may take this long, a cold HEAD as well. Milliseconds. */
const fetchMs = 60_000;

/** Manifests remembered, and how large one may be (bytes): 4 MiB of memory at most. */
const rememberedCount = 64;
const rememberedBytes = 64 * 1024;

export class TagReader {
  readonly #client: UpstreamClient;
  readonly #fetched = new BoundedMap<string, Manifest>(rememberedCount);
  readonly #checks = new SharedWork<ManifestHead | undefined>({ limitMs: checkMs, failureMs });
  readonly #heads = new SharedWork<ManifestHead | undefined>({ limitMs: fetchMs, failureMs });
  readonly #manifests = new SharedWork<Manifest>({ limitMs: fetchMs, failureMs });

  constructor(client: UpstreamClient) {
    this.#client = client;
  }

  /** What a tag is upstream now, within a second. Rejects as `headManifest` does, also at once after a failure. */
  check(request: ReferenceRequest): Promise<ManifestHead | undefined> {
    return this.#checks.run(keyOf(request), request.signal, (signal) =>
      headManifest(this.#client, { ...request, signal }),
    );
  }

  /** The same without the hurry, for a tag of which nothing is known yet. */
  head(request: ReferenceRequest): Promise<ManifestHead | undefined> {
    return this.#heads.run(keyOf(request), request.signal, (signal) =>
      headManifest(this.#client, { ...request, signal }),
    );
  }

  /**
   * The manifest itself, verified. `stated` is the digest that a HEAD has just told: clients whose copies are over at
   * slightly different moments get what one GET brought.
   */
  async fetch(request: ReferenceRequest, stated?: string): Promise<Manifest> {
    const key = keyOf(request);
    const remembered = this.#fetched.get(key);
    if (remembered !== undefined && remembered.digest === stated) return remembered;
    const manifest = await this.#manifests.run(key, request.signal, (signal) =>
      fetchManifest(this.#client, { ...request, signal }),
    );
    if (manifest.bytes.length <= rememberedBytes) this.#fetched.set(key, manifest);
    return manifest;
  }
}

function keyOf({ repository, reference, accept, authorization }: ReferenceRequest): string {
  return `${repository} ${reference} ${authorizationKey(authorization)} ${accept}`;
}
