/**
 * Finds what the sudden end of a machine leaves of a cache: nginx flushes nothing to the disk, and serves a file that is too short as if it were whole,
 * so that the next slice comes at the wrong place.
 */
import { pause } from '../../pause.ts';
import { type CacheFile, openUnmarked, readHead } from './cache-file.ts';
import { forEachObject, removeFile } from './cache-folder.ts';

/** After each file: a thousand a second at most, so that no client feels it. Milliseconds. */
const pauseMs = 2;

/** Removes the files below `dir` that are shorter than their answers say; returns how many those were. Rejects when the volume does not let it. */
export async function removeTornFiles(dir: string, signal: AbortSignal): Promise<number> {
  let removed = 0;
  await forEachObject(dir, signal, async ({ path, temporary }) => {
    // That one is still being written.
    if (temporary !== undefined) return;
    if (await isTorn(path)) {
      await removeFile(path);
      removed += 1;
    }
    await pause(pauseMs, signal);
  });
  return removed;
}

/** False for what cannot be read, which nginx cannot serve either. */
async function isTorn(path: string): Promise<boolean> {
  const file = await openUnmarked(path).catch(() => undefined);
  if (file === undefined) return false;
  try {
    const found = await readHead(file);
    const { size } = await file.stat();
    return found !== undefined && isShort(found, size);
  } catch {
    return false;
  } finally {
    await file.close();
  }
}

function isShort({ key, head }: CacheFile, size: number): boolean {
  const stated = head && statedBytes(head.headers);
  if (head === undefined || stated === undefined) return false;
  const got = size - head.bodyAt;
  // Of a tag or a failure the answer to a HEAD is kept as well, which has no body.
  const mayBeHead = got === 0 && key.kind !== 'blob' && key.kind !== 'manifest';
  return got < stated && !mayBeHead;
}

/** How long the body is; undefined: nobody said so. A slice has no `Content-Length`. */
function statedBytes(headers: ReadonlyMap<string, string>): number | undefined {
  const [, start, end] = /^bytes (\d+)-(\d+)\//.exec(headers.get('content-range') ?? '') ?? [];
  if (start !== undefined && end !== undefined) return Number(end) - Number(start) + 1;
  const length = headers.get('content-length');
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
}
