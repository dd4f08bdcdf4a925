/** Finds Helm, building it when it is not there. */
import { join } from 'node:path';
import { builtFolder } from '../go/built-folder.ts';

/** Returns the path of `helm`; the first time this takes 1 to 3 minutes. */
export async function helmProgram(signal?: AbortSignal): Promise<string> {
  return join(await builtFolder(join(import.meta.dirname, 'build'), 'Helm', signal), 'helm');
}
