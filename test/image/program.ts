/** Finds the image of the repository's Dockerfile, building it when it is not there. */
import { join } from 'node:path';
import { builtFolder } from '../go/built-folder.ts';

/** Of the manifests in deploy/. */
export const ownImage = 'docker.io/library/registry-mirror-operator:0.1.0';

const script = join(import.meta.dirname, 'build');

/** Returns the image as an OCI archive; the first time this takes three to five minutes, after a change of the sources one. */
export function ownImageArchive(signal?: AbortSignal): Promise<string> {
  return builtFolder(script, 'The image', signal);
}

/** The same of other sources of this repository, under another tag. */
export function archiveOf(sources: string, tag: string): Promise<string> {
  return builtFolder(script, 'The image', undefined, { SOURCES: sources, TAG: tag });
}
