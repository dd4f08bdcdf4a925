import { type FSWatcher, watch } from 'node:fs';

/** Tells of changes in a folder, by their names. A hint only: undefined where there is no such folder, or the kernel has no watch left. */
export function watchFolder(folder: string, onChange: (name: string | null) => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, (_, name) => onChange(name));
    return watcher.on('error', () => watcher.close());
  } catch {
    return undefined;
  }
}
