/** What a RegistryMirror asks of its cache: the same for a pod and for one machine. Pure. */
import { accessOf } from '../api/access.ts';
import { cacheSizeMiB } from '../api/cache-size.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import { masqueradeOf, parseUpstream } from '../api/upstream.ts';
import type { CacheMirror, CredentialPlace, EgressProxy, UpstreamTimeouts } from './cache-config.ts';

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** Where one cache lies and what is known only there. */
export interface CachePlace {
  readonly cacheDir: string;
  /** Names beside the upstream's own: of the Service, its addresses. */
  readonly extraNames: readonly string[];
  readonly credentials: readonly CredentialPlace[];
  readonly caFiles: readonly string[];
  /** Where the mirror names no proxy of its own. */
  readonly egressProxy?: EgressProxy;
}

/** Takes a valid mirror (with defaults) and its place; returns what nginx and broker are told of it. */
export function cacheMirrorOf(mirror: RegistryMirror, place: CachePlace): CacheMirror {
  const { metadata, spec } = mirror;
  const upstream = parseUpstream(spec.upstreamUrl);
  const { extraNames, egressProxy, ...where } = place;
  const { inactive } = spec.cache ?? {};
  const proxy = spec.upstreamProxy === undefined ? egressProxy : { url: spec.upstreamProxy, noProxy: [] };
  return {
    name: metadata.name,
    upstream,
    masquerade: masqueradeOf(mirror),
    names: [...upstream.names, ...extraNames],
    tagTtlSeconds: seconds(spec.cache?.tagTTL ?? '60s'),
    tagPolicy: spec.cache?.tagPolicy ?? 'revalidate',
    access: accessOf(mirror),
    authTtlSeconds: seconds(spec.authTTL),
    maxSizeMiB: cacheSizeMiB(mirror),
    ...(inactive !== undefined && { inactiveSeconds: seconds(inactive) }),
    redirectHosts: spec.redirectHosts ?? [],
    ...(spec.tokenHosts !== undefined && { tokenHosts: spec.tokenHosts }),
    ...(proxy !== undefined && { egressProxy: proxy }),
    timeouts: timeouts(spec.upstreamTimeouts),
    ...where,
  };
}

function timeouts(wanted: RegistryMirror['spec']['upstreamTimeouts']): UpstreamTimeouts {
  const ms = (duration: string) => seconds(duration) * 1000;
  return {
    connect: ms(wanted?.connect ?? '5s'),
    headers: ms(wanted?.response ?? '20s'),
    bodyIdle: ms(wanted?.idle ?? '30s'),
  };
}

/** Seconds of a duration in the schema's form (`60s`, `5m`, `1h`). */
function seconds(duration: string): number {
  return Number(duration.slice(0, -1)) * (unitSeconds[duration.slice(-1)] ?? Number.NaN);
}
