/** Manifests through the cache, in the forms in which clients ask for them, so that each of these is cached. */
import type { IncomingMessage } from 'node:http';
import { digestOf, parseDigest } from '../../registry/digest.ts';
import { manifestType, manifestTypes } from '../../registry/media-types.ts';
import type { LocalCache } from './local-cache.ts';
import { WarmError } from './warm-error.ts';

export interface CachedManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
}

/** What containerd, Docker, podman and CRI-O can read: nginx keeps tags apart by what a client accepts. */
const accept = Object.values(manifestTypes).join(', ');
/** As registries: OCI distribution specification, "Pushing Manifests". Bytes. */
const maxBytes = 4 * 1024 * 1024;

/** Fetches by digest, or by tag what the tag names now. Rejects with `WarmError`; code `digest` when the bytes are others. */
export async function fetchManifest(
  cache: LocalCache,
  repository: string,
  reference: string,
  signal: AbortSignal,
): Promise<CachedManifest> {
  const path = `${repository}/manifests/${reference}`;
  const answer = await cache.ask({ path, headers: { accept }, signal });
  const bytes = await readWhole(answer, path, signal);
  const mediaType = manifestType(answer.headers['content-type'], bytes);
  if (mediaType === undefined)
    throw new WarmError('manifest', `${path}: expected a manifest, got something else`);
  const asked = parseDigest(reference);
  const stated = parseDigest(String(answer.headers['docker-content-digest'] ?? ''));
  const expected = asked ?? stated;
  const digest = digestOf(bytes, expected?.algorithm);
  if (expected !== undefined && expected.text !== digest) {
    throw new WarmError('digest', `${path}: expected ${expected.text}, got ${digest}`);
  }
  return { bytes, mediaType, digest };
}

/** containerd asks for a tag by HEAD, which the cache keeps apart from a GET. */
export async function headTag(
  cache: LocalCache,
  repository: string,
  tag: string,
  signal: AbortSignal,
): Promise<void> {
  const path = `${repository}/manifests/${tag}`;
  (await cache.ask({ method: 'HEAD', path, headers: { accept }, signal })).resume();
}

async function readWhole(answer: IncomingMessage, path: string, signal: AbortSignal): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > maxBytes) throw new WarmError('manifest', `${path}: expected at most ${maxBytes} bytes`);
      pieces.push(piece);
    }
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof WarmError) throw cause;
    throw new WarmError('broken', `${path}: the connection broke`, { cause });
  }
  return Buffer.concat(pieces, length);
}
