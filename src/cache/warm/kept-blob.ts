/** Whether nginx has kept what was read through it: on a full or read-only volume it passes on and keeps nothing. */
import { stat } from 'node:fs/promises';
import { type StoredBlob, slicesOf } from '../broker/store/verify-blob.ts';
import { pause } from '../pause.ts';

/** nginx gives a file its name after its last byte was sent. Milliseconds. */
const patienceMs = 2_000;
const lookMs = 50;

/** True when every slice of the blob lies in the cache's folder, or is there within two seconds. */
export async function isKept(blob: StoredBlob, signal: AbortSignal): Promise<boolean> {
  for (const end = performance.now() + patienceMs; !(await isThere(blob)); ) {
    if (performance.now() >= end || !(await pause(lookMs, signal))) return false;
  }
  return true;
}

async function isThere(blob: StoredBlob): Promise<boolean> {
  for (const { path, start } of slicesOf(blob)) {
    const size = await stat(path).then(
      (found) => found.size,
      () => undefined,
    );
    if (size === undefined) return false;
    // An upstream without ranges leaves the whole in the first file.
    if (start === 0 && size > blob.totalBytes) return true;
  }
  return true;
}
