/** Moves an image to another registry. Pure. */
import { parseReference, repositoryOf, suffixOf } from './reference.ts';

/** Takes an image reference and returns it with its domain replaced; Docker Hub's one-segment names get `library/`. Any other text stays as it is. */
export function withDomain(image: string, domainName: string): string {
  const reference = parseReference(image);
  if (reference === undefined) return image;
  return `${domainName}/${repositoryOf(reference)}${suffixOf(reference)}`;
}
