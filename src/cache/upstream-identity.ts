/** Tells one upstream from another. nginx has it in the keys of tags and sends it along; the broker answers for no other. Pure. */
import { createHash } from 'node:crypto';
import type { Upstream } from '../api/upstream.ts';

/** The header in which nginx sends the identity; lower case, as Node has it. */
export const identityHeader = 'x-upstream-identity';

/** Returns 16 hexadecimal digits of what decides over the content of a repository: scheme, host and path prefix. */
export function upstreamIdentity({ scheme, host, pathPrefix }: Upstream): string {
  const text = JSON.stringify([scheme, host, pathPrefix]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
