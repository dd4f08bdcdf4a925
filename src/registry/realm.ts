/** Which token server may be asked, and which may be shown the mirror's credentials. Pure. */

/** Token servers of well-known registries that share no parent with them; each is named by the registry's vendor. */
const knownTokenHosts: Readonly<Record<string, readonly string[]>> = {
  'registry-1.docker.io': ['auth.docker.io'],
  'docker.elastic.co': ['docker-auth.elastic.co'],
  'registry.connect.redhat.com': ['sso.redhat.com'],
};

/** Takes a challenge's realm and returns its URL, undefined when it may not be asked on behalf of `upstream` (its origin). */
export function parseRealm(realm: string | undefined, upstream: URL): URL | undefined {
  if (realm === undefined || !URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  if (url.username !== '' || url.password !== '') return undefined;
  return url.protocol === 'https:' || (url.protocol === 'http:' && upstream.protocol === 'http:')
    ? url
    : undefined;
}

/**
 * True when the realm may be shown the upstream's credentials: over https only, and only on the upstream's host, a
 * subdomain of it, a domain above it, a known pair, or a host the administrator named.
 */
export function mayShowCredentials(realm: URL, upstream: URL, tokenHosts: readonly string[] = []): boolean {
  if (realm.protocol !== 'https:' || upstream.protocol !== 'https:') return false;
  const own = upstream.hostname;
  const host = realm.hostname;
  if (host === own || [...(knownTokenHosts[own] ?? []), ...tokenHosts].includes(host)) return true;
  return isBelow(host, own) || isBelow(own, host);
}

/** True when `child` is a subdomain of `parent`. One label alone (`com`, a bare cluster name) is nobody's domain. */
function isBelow(child: string, parent: string): boolean {
  const isAddress = parent.startsWith('[') || /^[0-9.]+$/.test(parent);
  return !isAddress && parent.includes('.') && child.endsWith(`.${parent}`);
}
