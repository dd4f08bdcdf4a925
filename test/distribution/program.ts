/** Finds distribution's registry 3, building it when it is not there. */
import { join } from 'node:path';
import { builtFolder } from '../go/built-folder.ts';

/** Returns the path of `registry`; the first time this takes 1 to 2 minutes. */
export async function distributionProgram(signal?: AbortSignal): Promise<string> {
  const folder = await builtFolder(join(import.meta.dirname, 'build'), "distribution's registry", signal);
  return join(folder, 'registry');
}
