/** From a manifest to everything that must be cached for an image. */
import type { CachedManifest } from './fetch-manifest.ts';
import { type Descriptor, isForeign, parseManifest } from './manifest-content.ts';
import { isWanted, type Platform, type PlatformChoice, platformName } from './platform.ts';
import { WarmError } from './warm-error.ts';

/** What an image consists of; its manifests are cached already when this is returned. */
export interface ImageContent {
  /** Each once, in the order in which they are met. */
  readonly blobs: readonly Descriptor[];
  /** Layers that no registry has to have. */
  readonly foreign: readonly Descriptor[];
  /** `os/architecture[/variant]` of the entries taken of an index; empty for an image without one. */
  readonly platforms: readonly string[];
}

/** Indexes in indexes; no known image nests more than two. */
const deepest = 4;
/** An index may be 4 MiB long, and each of its entries another one. */
const mostManifests = 1_000;

/** Walks from `top` down; `fetch` is asked for each manifest once, by digest. Rejects with `WarmError`. */
export async function resolveImage(
  top: CachedManifest,
  choice: PlatformChoice,
  fetch: (digest: string) => Promise<CachedManifest>,
): Promise<ImageContent> {
  const walk = new Walk(choice, fetch);
  await walk.visit(top, 0);
  walk.assertPlatforms(top.digest);
  return {
    blobs: [...walk.blobs.values()],
    foreign: [...walk.foreign.values()],
    platforms: [...walk.platforms],
  };
}

class Walk {
  readonly blobs = new Map<string, Descriptor>();
  readonly foreign = new Map<string, Descriptor>();
  readonly platforms = new Set<string>();
  readonly #offered = new Map<string, Platform>();
  readonly #seen = new Set<string>();
  readonly #choice: PlatformChoice;
  readonly #fetch: (digest: string) => Promise<CachedManifest>;

  constructor(choice: PlatformChoice, fetch: (digest: string) => Promise<CachedManifest>) {
    this.#choice = choice;
    this.#fetch = fetch;
  }

  async visit(manifest: CachedManifest, depth: number): Promise<void> {
    this.#seen.add(manifest.digest);
    const content = parseManifest(manifest.bytes, manifest.mediaType, manifest.digest);
    if (content.kind === 'image') {
      for (const blob of content.blobs)
        (isForeign(blob) ? this.foreign : this.blobs).set(blob.digest.text, blob);
      return;
    }
    if (depth === deepest)
      throw new WarmError('manifest', `${manifest.digest}: indexes nest deeper than ${deepest}`);
    for (const entry of content.manifests) {
      if (this.#takes(entry)) await this.visit(await this.#fetch(entry.digest.text), depth + 1);
    }
  }

  #takes({ platform, digest }: Descriptor): boolean {
    if (platform !== undefined) this.#offered.set(platformName(platform), platform);
    if (!isWanted(this.#choice, platform)) return false;
    if (platform !== undefined) this.platforms.add(platformName(platform));
    if (this.#seen.has(digest.text)) return false;
    if (this.#seen.size >= mostManifests) {
      throw new WarmError('manifest', `an index leads to more than ${mostManifests} manifests`);
    }
    return true;
  }

  /** Each platform asked for must be there, if the image tells platforms at all. */
  assertPlatforms(digest: string): void {
    if (this.#choice === 'all' || this.#offered.size === 0) return;
    const offered = [...this.#offered.values()];
    const missing = this.#choice.filter((wanted) => !offered.some((entry) => isWanted([wanted], entry)));
    if (missing.length === 0) return;
    // Attestations are not for any machine.
    const names = [...this.#offered.keys()].filter((name) => !name.startsWith('unknown/'));
    throw new WarmError(
      'platform',
      `${digest} has no ${missing.map(platformName).join(', ')}; it has ${names.join(', ')}`,
    );
  }
}
