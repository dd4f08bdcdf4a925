/** Removes a repository, or one tag or digest of it, from a cache folder. */
import { stat, unlink } from 'node:fs/promises';
import type { Digest } from '../../../registry/digest.ts';
import { type CacheFile, openUnmarked, readCacheFile, readHead } from './cache-file.ts';
import { forEachObject } from './cache-folder.ts';
import type { CacheKey } from './cache-key.ts';
import { digestsNamedBy } from './named-digests.ts';

export interface PurgeTarget {
  /** All spellings under which clients know it. */
  readonly repositories: ReadonlySet<string>;
  /** Absent: everything. */
  readonly reference?: { readonly tag: string } | { readonly digest: Digest } | undefined;
}

export interface Removed {
  readonly removed: number;
  readonly bytes: number;
}

/** A manifest that is larger is not served either. Bytes. */
const maxManifestBytes = 4 * 2 ** 20;

/**
 * Removes what `target` names from the folder of a mirror, also what is just being written. Rejects when the volume does not
 * let it, and when `signal` ends it before everything was looked at. With a whole repository go the blobs that its cached
 * manifests name, unless another repository's name them too.
 */
export async function purgeFolder(dir: string, target: PurgeTarget, signal: AbortSignal): Promise<Removed> {
  const bin = new Bin();
  const { reference } = target;
  if (reference !== undefined) {
    await forEachFile(dir, signal, async (file, path) => {
      if (matches(file, target.repositories, reference)) await bin.remove(path);
    });
    return bin.removed;
  }
  const blobs = new Set<string>();
  await forEachFile(dir, signal, async (file, path) => {
    if (!isOf(file.key, target.repositories)) return;
    if (isManifest(file)) for (const digest of await namedBy(path)) blobs.add(digest);
    await bin.remove(path);
  });
  await removeBlobs(dir, blobs, bin, signal);
  return bin.removed;
}

async function removeBlobs(dir: string, blobs: Set<string>, bin: Bin, signal: AbortSignal): Promise<void> {
  if (blobs.size === 0) return;
  await forEachFile(dir, signal, async (file, path) => {
    if (isManifest(file)) for (const digest of await namedBy(path)) blobs.delete(digest);
  });
  await forEachFile(dir, signal, async ({ key }, path) => {
    if (key.kind === 'blob' && blobs.has(key.digest.text)) await bin.remove(path);
  });
}

function matches(
  { key, head }: CacheFile,
  repositories: ReadonlySet<string>,
  reference: { readonly tag: string } | { readonly digest: Digest },
): boolean {
  // A blob is every repository's.
  if ('digest' in reference && key.kind === 'blob') return key.digest.text === reference.digest.text;
  if (!isOf(key, repositories)) return false;
  if ('tag' in reference) {
    if (key.kind === 'failed') return key.object === `manifests/${reference.tag}`;
    return key.kind === 'tag' && key.tag === reference.tag;
  }
  const { text } = reference.digest;
  if (key.kind === 'failed') return key.object.split('?')[0]?.endsWith(`/${text}`) === true;
  if (key.kind === 'manifest') return key.digest.text === text;
  if (key.kind === 'tag') return head?.headers.get('docker-content-digest') === text;
  return key.kind === 'list' && key.path === `referrers/${text}`;
}

function isOf({ repository }: CacheKey, repositories: ReadonlySet<string>): boolean {
  return repository !== undefined && repositories.has(repository);
}

/** What was refused first and then was there is kept as the rest of its failures. */
function isManifest({ key, head }: CacheFile): boolean {
  if (head?.status !== 200) return false;
  if (key.kind === 'failed') return key.object.startsWith('manifests/');
  return key.kind === 'manifest' || key.kind === 'tag';
}

/** The blobs that the manifest in a cache file names; of an image index, a HEAD's answer and what is gone: none. */
async function namedBy(path: string): Promise<string[]> {
  const file = await openUnmarked(path).catch(() => undefined);
  if (file === undefined) return [];
  try {
    const head = (await readHead(file))?.head;
    const { size } = await file.stat();
    if (head === undefined || size - head.bodyAt > maxManifestBytes) return [];
    const body = Buffer.alloc(Math.max(0, size - head.bodyAt));
    await file.read(body, 0, body.length, head.bodyAt);
    return digestsNamedBy(body.toString());
  } finally {
    await file.close();
  }
}

/** Runs `work` for every file whose key can be read. nginx renames what it has finished: it is then looked for under its name. */
async function forEachFile(
  dir: string,
  signal: AbortSignal,
  work: (file: CacheFile, path: string) => Promise<void>,
): Promise<void> {
  await forEachObject(dir, signal, async ({ path, temporary }) => {
    for (const place of temporary === undefined ? [path] : [temporary, path]) {
      const file = await readCacheFile(place);
      if (file !== undefined) await work(file, place);
    }
  });
  // Of a walk that ended early nothing may be concluded.
  signal.throwIfAborted();
}

/** Counts what it removes. */
class Bin {
  #files = 0;
  #bytes = 0;

  get removed(): Removed {
    return { removed: this.#files, bytes: this.#bytes };
  }

  async remove(path: string): Promise<void> {
    try {
      const { blocks } = await stat(path);
      await unlink(path);
      this.#files += 1;
      this.#bytes += blocks * 512;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}
