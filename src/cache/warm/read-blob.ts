/** Reads a blob through the cache to its last byte, so that all of it is kept, and checks its digest on the way. */
import { createHash } from 'node:crypto';
import { finishDigest } from '../../registry/digest.ts';
import type { LocalCache } from './local-cache.ts';
import type { Descriptor } from './manifest-content.ts';
import type { Retries } from './retries.ts';
import { WarmError } from './warm-error.ts';

export interface BlobReading {
  readonly cache: LocalCache;
  readonly repository: string;
  readonly blob: Descriptor;
  readonly retries: Retries;
  /** Told each piece's length once, however often the connection broke. */
  readonly onBytes: (count: number) => void;
  readonly signal: AbortSignal;
}

/** Nothing of it is kept in memory. Rejects with `WarmError`; code `digest` when the cache holds other bytes. */
export async function readBlob(reading: BlobReading): Promise<void> {
  const { digest, size } = reading.blob;
  const hash = createHash(digest.algorithm);
  let at = 0;
  const take = (piece: Buffer) => {
    hash.update(piece);
    at += piece.length;
    reading.onBytes(piece.length);
    reading.retries.progressed();
  };
  for (;;) {
    try {
      await readFrom(reading, at, take);
      break;
    } catch (error) {
      await reading.retries.wait(error);
    }
  }
  const got = finishDigest(hash, digest.algorithm);
  if (at !== size || got !== digest.text) {
    throw new WarmError(
      'digest',
      `${reading.repository}: expected ${digest.text} of ${size} bytes, got ${got} of ${at}`,
    );
  }
}

/** Reads the rest from byte `at`, where an earlier connection broke. */
async function readFrom(reading: BlobReading, at: number, take: (piece: Buffer) => void): Promise<void> {
  const { cache, repository, blob, signal } = reading;
  if (at > 0 && at >= blob.size) return;
  const path = `${repository}/blobs/${blob.digest.text}`;
  const answer = await cache.ask({ path, headers: at === 0 ? {} : { range: `bytes=${at}-` }, signal });
  // A server may answer a Range with the whole.
  let superfluous = answer.statusCode === 206 ? 0 : at;
  if (answer.statusCode === 206 && !answer.headers['content-range']?.startsWith(`bytes ${at}-`)) {
    answer.destroy();
    throw new WarmError('broken', `${path}: expected the bytes from ${at}, got others`);
  }
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      const wanted = piece.subarray(superfluous);
      superfluous -= piece.length - wanted.length;
      if (wanted.length > 0) take(wanted);
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw new WarmError('broken', `${path}: the connection broke`, { cause });
  }
}
