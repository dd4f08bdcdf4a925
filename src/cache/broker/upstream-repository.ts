/** What the upstream calls the repositories of its mirror's clients. Pure. */
import type { Upstream } from '../../api/upstream.ts';

type Names = Pick<Upstream, 'pathPrefix' | 'dockerHub'>;

/** Docker Hub keeps its own images under `library/`; a path prefix comes before everything. */
export function upstreamRepository({ pathPrefix, dockerHub }: Names, repository: string): string {
  if (pathPrefix !== '') return `${pathPrefix}/${repository}`;
  return dockerHub && !repository.includes('/') ? `library/${repository}` : repository;
}

/**
 * Takes the beginning of repositories by whole segments, as clients write them, and returns where these are upstream.
 * On Docker Hub `nginx` is also `library/nginx`. The empty prefix is all there is.
 */
export function upstreamPrefixes(names: Names, prefix: string): string[] {
  if (prefix === '') return [''];
  if (names.pathPrefix !== '') return [`${names.pathPrefix}/${prefix}`];
  return [...new Set([prefix, upstreamRepository(names, prefix)])];
}
