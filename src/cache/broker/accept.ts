/** What the upstream is asked to send for each class of Accept that nginx knows. Pure. */
import { manifestTypes } from '../../registry/media-types.ts';

const { ociIndex, ociManifest, dockerList, dockerManifest } = manifestTypes;

/** The classes of `X-Registry-Accept`; nginx has them in a tag's cache key. Indexes first, as current runtimes do. */
const acceptOf: Readonly<Record<string, readonly string[]>> = {
  any: [ociIndex, dockerList, ociManifest, dockerManifest],
  docker: [dockerList, dockerManifest],
  oci: [ociIndex, ociManifest],
};

export interface AcceptChoice {
  readonly accept: string;
  /** True when the answer depends on the client's own Accept, so that nginx must keep one for each. */
  readonly varies: boolean;
}

/** By digest there is only one answer: every type we know, and any other if need be. */
export const acceptByDigest = `${acceptOf['any']?.join(', ')}, */*;q=0.1`;

/** Takes nginx's class (`exact` or unknown: the client's own lines, joined by commas) and returns what to ask for. */
export function acceptFor(className: string | undefined, own: string | undefined): AcceptChoice {
  const known = Object.hasOwn(acceptOf, className ?? '') ? acceptOf[className ?? ''] : undefined;
  if (known !== undefined) return { accept: known.join(', '), varies: false };
  return { accept: own ?? acceptByDigest, varies: true };
}
