/** The cache of one mirror as it runs in a pod: where things are mounted, which names it answers to. Pure. */
import { isIPv6 } from 'node:net';
import { credentialSecrets } from '../../api/access.ts';
import { serviceDnsNames } from '../../api/names.ts';
import { type CacheConfig, type Certificate, defaultSliceSizeKiB } from '../../cache/cache-config.ts';
import { cacheMirrorOf } from '../../cache/cache-mirror.ts';
import type { MirrorInput } from '../../resources/object.ts';
import { leafNames } from '../certificates/leaf.ts';

/** What the configuration depends on beside mirror and settings. */
export interface CacheFacts {
  readonly clusterIPs: readonly string[];
  /** A certificate that is not ours, copied beside the leaf, and the names it is to serve. */
  readonly given?: { readonly names: readonly string[] };
}

const mounts = {
  config: '/etc/registry-mirror/config',
  tls: '/etc/registry-mirror/tls',
  credentials: '/etc/registry-mirror/credentials',
  upstreamCa: '/etc/registry-mirror/upstream-ca/ca-certificates.crt',
  store: '/var/lib/registry',
  run: '/run/registry-mirror',
} as const;
/** The copy of a certificate that is not ours, as the configuration names it. */
export const givenCertificateFile = `${mounts.tls}/given.crt`;
const port = 5000;
const workerProcesses = 4;

/** Returns the configuration of nginx and broker; the claim's size is read from the mirror. */
export function podCacheConfig({ mirror, settings }: MirrorInput, facts: CacheFacts): CacheConfig {
  const place = {
    cacheDir: `${mounts.store}/cache`,
    extraNames: [...facts.clusterIPs, ...serviceDnsNames(mirror.metadata.name, settings.namespace)],
    credentials: credentialSecrets(mirror).map(({ prefix }) => ({ prefix, dir: mounts.credentials })),
    caFiles: settings.caCertificateBundle === undefined ? [] : [mounts.upstreamCa],
  };
  return {
    mirrors: [cacheMirrorOf(mirror, place)],
    listen: listenAddresses(facts.clusterIPs),
    fallbackListen: [],
    brokerProcesses: mirror.spec.broker?.processes ?? 1,
    certificates: certificates({ mirror, settings }, facts),
    paths: {
      runDir: mounts.run,
      tempDir: '/tmp',
      confDir: mounts.config,
      brokerDir: `${mounts.store}/broker`,
    },
    accessLog: '/dev/stdout',
    workerProcesses,
    sliceSizeKiB: defaultSliceSizeKiB,
  };
}

/** nginx does not start on an address family the kernel lacks; a Service's family is one that pods have. */
function listenAddresses(clusterIPs: readonly string[]): CacheConfig['listen'] {
  const v4 = clusterIPs.length === 0 || clusterIPs.some((ip) => !isIPv6(ip));
  return [
    ...(v4 ? [{ address: '0.0.0.0', port }] : []),
    ...(clusterIPs.some(isIPv6) ? [{ address: '::', port }] : []),
  ];
}

/** The first is what clients get that dial an address (they send no server name): the given one if it has addresses. */
function certificates({ mirror, settings }: MirrorInput, facts: CacheFacts): Certificate[] {
  const served = facts.given?.names ?? [];
  const all = leafNames(mirror, settings.namespace, facts.clusterIPs);
  const leaf = pair(
    'tls',
    all.filter((name) => !served.includes(name)),
  );
  if (served.length === 0) return [leaf];
  const given = pair('given', served);
  return facts.clusterIPs.some((ip) => served.includes(ip)) ? [given, leaf] : [leaf, given];
}

function pair(base: 'tls' | 'given', names: readonly string[]): Certificate {
  return { certFile: `${mounts.tls}/${base}.crt`, keyFile: `${mounts.tls}/${base}.key`, names };
}
