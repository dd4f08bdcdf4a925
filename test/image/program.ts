/** Finds the image of the repository's Dockerfile, building it when it is not there. */
import { join } from 'node:path';
import { builtFolder } from '../go/built-folder.ts';

/** Of the manifests in deploy/. */
export const ownImage = 'docker.io/library/registry-mirror-operator:0.1.0';

/** Returns the image as an OCI archive; the first time this takes three to five minutes, after a change of the sources one. */
export function ownImageArchive(signal?: AbortSignal): Promise<string> {
  return builtFolder(join(import.meta.dirname, 'build'), 'The image', signal);
}
