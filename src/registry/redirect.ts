/** Where a redirect of an upstream leads, and whether it may be followed. Pure. */
import type { Destination } from './authorizer.ts';
import { UpstreamError } from './upstream-error.ts';

const statuses = new Set([301, 302, 303, 307, 308]);

/** How many places one request may be sent on to. */
export const maxHops = 5;

export function isRedirect(status: number): boolean {
  return statuses.has(status);
}

/**
 * Takes where a redirect came from, its `Location` and the upstream's origin. https only, http where the upstream is
 * http itself. Who has left the upstream's origin once stays `foreign`, also when led back. Throws `UpstreamError`.
 */
export function redirectTarget(
  from: Destination,
  location: string | string[] | undefined,
  origin: URL,
): Destination {
  if (typeof location !== 'string' || !URL.canParse(location, from.url)) {
    throw new UpstreamError('redirect', `${from.url.host}: expected a Location, got none`);
  }
  const url = new URL(location, from.url);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && origin.protocol === 'http:')) {
    const message = `${from.url.host}: refused to follow to ${url.protocol}//${url.host}`;
    throw new UpstreamError('redirect', message);
  }
  url.username = '';
  url.password = '';
  url.hash = '';
  return { ...from, url, foreign: from.foreign || url.origin !== origin.origin };
}
