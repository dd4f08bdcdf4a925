/** Finds kube-router, building it when it is not there. */
import { join } from 'node:path';
import { builtFolder } from '../go/built-folder.ts';

/** Returns the folder with `kube-router`; the first time this takes some minutes. */
export async function kubeRouterFolder(): Promise<string> {
  return await builtFolder(join(import.meta.dirname, 'build'), 'kube-router');
}
