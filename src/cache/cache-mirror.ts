/** What a RegistryMirror asks of its cache: the same for a pod and for one machine. Pure. */
import { cacheSizeMiB } from '../api/cache-size.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import { masqueradeOf, parseUpstream } from '../api/upstream.ts';
import type { CacheMirror } from './cache-config.ts';

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** Where one cache lies and what is known only there. */
export interface CachePlace {
  readonly cacheDir: string;
  /** Names beside the upstream's own: of the Service, its addresses. */
  readonly extraNames: readonly string[];
  readonly credentialsDir?: string;
  readonly caFiles: readonly string[];
}

/** Takes a valid mirror (with defaults) and its place; returns what nginx and broker are told of it. */
export function cacheMirrorOf(mirror: RegistryMirror, place: CachePlace): CacheMirror {
  const { metadata, spec } = mirror;
  const upstream = parseUpstream(spec.upstreamUrl);
  const { extraNames, ...where } = place;
  return {
    name: metadata.name,
    upstream,
    masquerade: masqueradeOf(mirror),
    names: [...upstream.names, ...extraNames],
    tagTtlSeconds: seconds(spec.cache?.tagTTL ?? '60s'),
    maxSizeMiB: cacheSizeMiB(mirror),
    ...where,
  };
}

/** Seconds of a duration in the schema's form (`60s`, `5m`, `1h`). */
function seconds(duration: string): number {
  return Number(duration.slice(0, -1)) * (unitSeconds[duration.slice(-1)] ?? Number.NaN);
}
