/** Finds the folder with the control plane's programs, building it when it is not there. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { builtFolder } from '../go/built-folder.ts';

/**
 * Returns a folder that has every one of `programs`: `KUBEBUILDER_ASSETS`, else what `./build` has built (minutes, the
 * first time; its progress goes to standard error). Throws when there is none: tests never skip for want of a server.
 */
export async function findAssets(programs: string[], signal?: AbortSignal): Promise<string> {
  const folder = await builtFolder(join(import.meta.dirname, 'build'), 'The test control plane', signal);
  const missing = programs.filter((program) => !existsSync(join(folder, program)));
  if (missing.length > 0) throw new Error(missingPrograms(folder, missing));
  return folder;
}

function missingPrograms(folder: string, missing: string[]): string {
  return `${folder} has no ${missing.join(', ')}; unset KUBEBUILDER_ASSETS to have test/kubernetes/build make what is needed`;
}
