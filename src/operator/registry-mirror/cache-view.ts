/** The cache of one mirror as it runs in a pod: where things are mounted, which names it answers to. Pure. */
import { isIPv6 } from 'node:net';
import { objectNames, replicaCommonName, serviceDnsNames } from '../../api/names.ts';
import { nodeWiring } from '../../api/nodes.ts';
import {
  type CacheConfig,
  type Certificate,
  defaultSliceSizeKiB,
  type ListenAddress,
  type Peers,
} from '../../cache/cache-config.ts';
import { cacheMirrorOf } from '../../cache/cache-mirror.ts';
import { ports } from '../../cache/ports.ts';
import type { MirrorInput } from '../../resources/object.ts';
import { peerAuthoritiesKey } from '../../resources/secret.ts';
import { credentialsFolders } from '../../resources/stateful-set.ts';
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
  upstreamCa: '/etc/registry-mirror/upstream-ca/ca-certificates.crt',
  mirrorCa: '/etc/registry-mirror/mirror-ca/ca.crt',
  store: '/var/lib/registry',
  run: '/run/registry-mirror',
} as const;
/** The copy of a certificate that is not ours, as the configuration names it. */
export const givenCertificateFile = `${mounts.tls}/given.crt`;
/** Who may ask a replica, and where one demands a certificate of every client: who may ask at all. */
const peerAuthorities = `${mounts.tls}/${peerAuthoritiesKey}`;
const workerProcesses = 4;

/** Returns the configuration of nginx and broker; the claim's size is read from the mirror. */
export function podCacheConfig({ mirror, settings }: MirrorInput, facts: CacheFacts): CacheConfig {
  const place = {
    cacheDir: `${mounts.store}/cache`,
    extraNames: [...facts.clusterIPs, ...serviceDnsNames(mirror.metadata.name, settings.namespace)],
    credentials: credentialsFolders(mirror).map(({ prefix, dir }) => ({ prefix, dir })),
    caFiles: [
      ...(settings.caCertificateBundle === undefined ? [] : [mounts.upstreamCa]),
      ...(mirror.spec.upstreamCA === undefined ? [] : [mounts.mirrorCa]),
    ],
    ...(settings.egressProxy && { egressProxy: settings.egressProxy }),
  };
  return {
    mirrors: [cacheMirrorOf(mirror, place)],
    listen: listenAddresses(facts.clusterIPs, ports.https),
    fallbackListen: listenAddresses(facts.clusterIPs, ports.fallback),
    peers: peers({ mirror, settings }, facts),
    ...(nodeWiring(mirror, settings.addressingScheme).clientCertificate && {
      clientCaFile: peerAuthorities,
    }),
    metricsListen: metricsListen(facts.clusterIPs),
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
function listenAddresses(clusterIPs: readonly string[], port: number): CacheConfig['listen'] {
  const v4 = clusterIPs.length === 0 || clusterIPs.some((ip) => !isIPv6(ip));
  return [
    ...(v4 ? [{ address: '0.0.0.0', port }] : []),
    ...(clusterIPs.some(isIPv6) ? [{ address: '::', port }] : []),
  ];
}

/** The broker's socket for `::` takes both families. */
function metricsListen(clusterIPs: readonly string[]): ListenAddress {
  return { address: clusterIPs.some(isIPv6) ? '::' : '0.0.0.0', port: ports.metrics };
}

/** Also of a single replica: a second one is news for the configuration, not for the pods. */
function peers({ mirror, settings }: MirrorInput, { clusterIPs }: CacheFacts): Peers {
  const { name } = mirror.metadata;
  const { statefulSet, service, headlessService } = objectNames(name);
  const domain = `${headlessService}.${settings.namespace}.svc`;
  return {
    listen: listenAddresses(clusterIPs, ports.peer),
    replicas: Array.from({ length: mirror.spec.replicas }, (_, index) => {
      const replica = `${statefulSet}-${index}`;
      return { name: replica, host: `${replica}.${domain}`, port: ports.peer };
    }),
    commonName: replicaCommonName(name),
    // The service's own name, not the replica's: it is in every leaf, and of no other mirror.
    serverName: `${service}.${settings.namespace}.svc`,
    ...pairFiles('tls'),
    caFile: peerAuthorities,
  };
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
  return { ...pairFiles(base), names };
}

function pairFiles(base: 'tls' | 'given'): Pick<Certificate, 'certFile' | 'keyFile'> {
  return { certFile: `${mounts.tls}/${base}.crt`, keyFile: `${mounts.tls}/${base}.key` };
}
