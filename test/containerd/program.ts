/** Finds containerd 2, building it when it is not there. */
import { join } from 'node:path';
import { builtFolder } from '../go/built-folder.ts';

/** Returns the folder of `containerd` and `ctr`; the first time this takes 1 to 3 minutes. */
export function containerdFolder(signal?: AbortSignal): Promise<string> {
  return builtFolder(join(import.meta.dirname, 'build'), 'containerd 2', signal);
}
