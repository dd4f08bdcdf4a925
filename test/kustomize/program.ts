/** Finds kustomize, building it when it is not there. */
import { join } from 'node:path';
import { builtFolder } from '../go/built-folder.ts';

/** Returns the path of `kustomize`; the first time this takes a minute. */
export async function kustomizeProgram(signal?: AbortSignal): Promise<string> {
  return join(await builtFolder(join(import.meta.dirname, 'build'), 'kustomize', signal), 'kustomize');
}
