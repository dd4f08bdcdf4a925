/** Compares the slices of a blob that nginx keeps with the blob's digest. */
import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, finishDigest } from '../../../registry/digest.ts';
import { openUnmarked, type ResponseHead, readHead } from './cache-file.ts';
import { fileOfKey, sliceKey } from './cache-key.ts';

export interface StoredBlob {
  readonly mirror: string;
  readonly digest: Digest;
  readonly totalBytes: number;
  /** The cache folder. */
  readonly dir: string;
  readonly sliceBytes: number;
}

/** `incomplete`: a slice is missing. */
export interface Verdict {
  readonly outcome: 'sound' | 'corrupt' | 'incomplete';
  readonly bytes: number;
}

/** Read and hashed at once: well under a millisecond of the event loop. Bytes. */
const pieceBytes = 256 * 1024;

/** Reads every slice; `pace` is called after each piece and may wait. Rejects when the disk fails. */
export async function verifyBlob(blob: StoredBlob, pace: (bytes: number) => Promise<void>): Promise<Verdict> {
  const hash = createHash(blob.digest.algorithm);
  let bytes = 0;
  for (const { path, start } of slicesOf(blob)) {
    const file = await openUnmarked(path).catch(ignoreGone);
    if (file === undefined) return { outcome: 'incomplete', bytes };
    try {
      const window = windowOf(blob, start, (await readHead(file))?.head);
      if (window === undefined) return { outcome: 'corrupt', bytes };
      const read = await feed(hash, file, window.bodyAt, pace);
      bytes += read;
      if (read !== window.length) return { outcome: 'corrupt', bytes };
      if (window.isWhole) break;
    } finally {
      await file.close();
    }
  }
  const isSound = finishDigest(hash, blob.digest.algorithm) === blob.digest.text;
  return { outcome: isSound ? 'sound' : 'corrupt', bytes };
}

/** Where the slices of a blob lie, whether they are there or not. */
export function* slicesOf(blob: StoredBlob): Generator<{ readonly path: string; readonly start: number }> {
  const { dir, mirror, digest, totalBytes, sliceBytes } = blob;
  for (let start = 0; start < totalBytes; start += sliceBytes) {
    yield { path: join(dir, fileOfKey(sliceKey(mirror, digest.text, start, sliceBytes))), start };
  }
}

/** What a slice's file must hold; undefined when its head says otherwise. An upstream without ranges leaves a whole blob in the first. */
function windowOf({ totalBytes, sliceBytes }: StoredBlob, start: number, head: ResponseHead | undefined) {
  if (head === undefined) return undefined;
  const { bodyAt } = head;
  if (head.status === 200 && start === 0) return { bodyAt, length: totalBytes, isWhole: true };
  const end = Math.min(start + sliceBytes, totalBytes) - 1;
  const isExpected = head.headers.get('content-range') === `bytes ${start}-${end}/${totalBytes}`;
  return isExpected ? { bodyAt, length: end - start + 1, isWhole: false } : undefined;
}

async function feed(
  hash: Hash,
  file: FileHandle,
  bodyAt: number,
  pace: (bytes: number) => Promise<void>,
): Promise<number> {
  const buffer = Buffer.allocUnsafe(pieceBytes);
  for (let at = bodyAt; ; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return at - bodyAt;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
    await pace(bytesRead);
  }
}

function ignoreGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
