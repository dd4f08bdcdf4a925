/** What the upstream has: a blob or an image for each scenario and round, so that cold is cold for everybody. */
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { blobOf } from '../../test/support/images.ts';
import type { Scenario } from './scenarios.ts';

export const repository = 'bench/app';
export const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
};

/** Something clients ask for: its path below the registry, and the bytes they must get. */
export interface Part {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Set where only a range is asked for: whoever ignores that sends this. */
  readonly whole?: { readonly bytes: number; readonly sha256: string };
}

/** All parts a client of a scenario fetches. */
export interface StoredObject {
  readonly parts: readonly Part[];
}

/** Folders of a store: blobs by digest; manifests by hex digest, with a list of which reference means which. */
export interface Store {
  readonly dir: string;
  readonly blobs: { digest: string }[];
  readonly references: { reference: string; digest: string }[];
}

export function makeStore(dir: string): Store {
  mkdirSync(join(dir, 'blobs'), { recursive: true });
  mkdirSync(join(dir, 'manifests'), { recursive: true });
  return { dir, blobs: [], references: [] };
}

/** Puts what `scenario` needs in one round into the store; a seed makes it always the same. */
export async function addObject(store: Store, scenario: Scenario, round: number): Promise<StoredObject> {
  const seed = `${scenario.name} ${round}`;
  const layer = await addBlob(store, seed, scenario.mebibytes * 1024 * 1024, scenario.range);
  if (scenario.object === 'blob') return { parts: [layer] };
  const config = await addBlob(store, `${seed} config`, 2048);
  return { parts: [addManifest(store, `${scenario.name}-${round}`, config, layer), config, layer] };
}

const pieceBytes = 1024 * 1024;

/** Bytes that no compression makes smaller. With `range`, the part says what its bytes are. */
async function addBlob(
  store: Store,
  seed: string,
  size: number,
  range?: { start: number; end: number },
): Promise<Part> {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const [whole, part] = [createHash('sha256'), createHash('sha256')];
  const partial = join(store.dir, 'blobs', 'partial');
  const file = createWriteStream(partial);
  for (let at = 0; at < size; at += pieceBytes) {
    const piece = cipher.update(Buffer.alloc(Math.min(pieceBytes, size - at)));
    whole.update(piece);
    if (range) part.update(piece.subarray(Math.max(0, range.start - at), Math.max(0, range.end + 1 - at)));
    if (!file.write(piece)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
  const sha256 = whole.digest('hex');
  const digest = `sha256:${sha256}`;
  await rename(partial, join(store.dir, 'blobs', digest));
  store.blobs.push({ digest });
  const path = `/v2/${repository}/blobs/${digest}`;
  if (!range) return { path, bytes: size, sha256 };
  const bytes = range.end - range.start + 1;
  return { path, bytes, sha256: part.digest('hex'), whole: { bytes: size, sha256 } };
}

function addManifest(store: Store, tag: string, config: Part, layer: Part): Part {
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: descriptor(mediaTypes.config, config),
    layers: [descriptor(mediaTypes.layer, layer)],
  };
  const { digest, content } = blobOf(Buffer.from(JSON.stringify(manifest)));
  writeFileSync(join(store.dir, 'manifests', digest), content);
  for (const reference of [tag, digest]) store.references.push({ reference, digest });
  return {
    path: `/v2/${repository}/manifests/${tag}`,
    bytes: content.length,
    sha256: digest.replace('sha256:', ''),
  };
}

function descriptor(mediaType: string, { bytes, sha256 }: Part): object {
  return { mediaType, digest: `sha256:${sha256}`, size: bytes };
}
