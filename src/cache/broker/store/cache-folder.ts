/** Walks through a cache folder of nginx without ever holding the names of all its files, and removes them one by one. */
import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface FolderEntry {
  /** Where nginx keeps the object, also of one that is still being written. */
  readonly path: string;
  /** The file being written, `<path>.<10 digits>`; absent: the object is complete. */
  readonly temporary?: string;
}

const name = /^([0-9a-f]{32})(\.\d{10})?$/;

/** Yields every object below `dir`, folder by folder; folders that vanish meanwhile are passed over. */
export async function* listObjects(dir: string): AsyncGenerator<FolderEntry, void> {
  for (const first of await folders(dir, /^[0-9a-f]$/)) {
    for (const second of await folders(first, /^[0-9a-f]{2}$/)) yield* objectsIn(second);
  }
}

async function folders(dir: string, pattern: RegExp): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(ignoreGone);
  return entries
    .filter((entry) => entry.isDirectory() && pattern.test(entry.name))
    .map((entry) => join(dir, entry.name));
}

async function* objectsIn(dir: string): AsyncGenerator<FolderEntry, void> {
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(ignoreGone)) {
    const [whole, object, isTemporary] = name.exec(entry.name) ?? [];
    if (whole === undefined || object === undefined || !entry.isFile()) continue;
    const path = join(dir, object);
    yield isTemporary === undefined ? { path } : { path, temporary: join(dir, whole) };
  }
}

function ignoreGone(error: NodeJS.ErrnoException): [] {
  if (error.code === 'ENOENT') return [];
  throw error;
}

/** How many files are looked at at once: the thread pool has four threads, and names are looked up in it too. */
const atOnce = 2;

/** Runs `work` for every object below `dir`; ends early, without an error, when `signal` aborts. */
export async function forEachObject(
  dir: string,
  signal: AbortSignal,
  work: (entry: FolderEntry) => Promise<void>,
): Promise<void> {
  const entries = listObjects(dir);
  const worker = async () => {
    for (;;) {
      const { value, done } = await entries.next();
      if (done || value === undefined || signal.aborted) return;
      await work(value);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Removes a file of the folder; nginx may have been quicker. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch(ignoreGone);
}
