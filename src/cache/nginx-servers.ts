/** nginx's servers: one for each kind of address and certificate. Pure; the view itself is in `nginx-view.ts`. */
import { isIPv6 } from 'node:net';
import type { AddressKind } from './address-kind.ts';
import { type CacheConfig, type Certificate, type ListenAddress, localSocket } from './cache-config.ts';

export interface ServerView {
  readonly kind: AddressKind;
  readonly isFallback: boolean;
  readonly isPeer: boolean;
  /** Clients are served what the upstream lets them read, by its own word. */
  readonly checksAccess: boolean;
  /** `GET /v2/` is the upstream's to answer: its challenge. */
  readonly asksPing: boolean;
  readonly isDefault: boolean;
  readonly choosesCertificate: boolean;
  readonly listen: readonly {
    readonly socket: string;
    /** nginx's `ipv6only`; null where there is no such thing. */
    readonly ipv6only: 'on' | 'off' | null;
  }[];
  readonly names: readonly string[];
  /** Null: without TLS. */
  readonly certFile: string | null;
  readonly keyFile: string | null;
  readonly clientCaFile: string | null;
  /** nginx's `ssl_verify_client`. */
  readonly verifyClient: 'optional' | 'on' | null;
}

/** A name by which one of several certificates is chosen. */
export interface CertificateChoice {
  readonly name: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** All servers of a cache, those of the first address first. */
export function serverViews(config: CacheConfig): ServerView[] {
  return [
    ...clientServers(config, 'plain', config.listen),
    ...clientServers(config, 'fallback', config.fallbackListen),
    ...peerServers(config),
    localServer(config),
  ];
}

/** True where the upstream says of each client what it may read. */
export function hasPassThrough({ mirrors }: CacheConfig): boolean {
  return mirrors.some(({ access }) => access === 'passThrough');
}

/** Empty but where clients show certificates: elsewhere nginx checks at its start what it is to serve. */
export function certificateChoices({ certificates, clientCaFile }: CacheConfig): CertificateChoice[] {
  if (clientCaFile === undefined || certificates.length === 1) return [];
  const taken = new Set<string>();
  return certificates.flatMap((certificate) =>
    namesOf(certificate, taken).map((name) => ({
      name,
      certFile: certificate.certFile,
      keyFile: certificate.keyFile,
    })),
  );
}

/** One server for each certificate, or one for all of them. */
function clientServers(
  config: CacheConfig,
  kind: 'plain' | 'fallback',
  listen: readonly ListenAddress[],
): ServerView[] {
  if (listen.length === 0) return [];
  const { certificates, clientCaFile } = config;
  const checksAccess = hasPassThrough(config);
  const choosesCertificate = certificateChoices(config).length > 0;
  const taken = new Set<string>();
  return (choosesCertificate ? certificates.slice(0, 1) : certificates).map((certificate, index) => ({
    kind,
    isFallback: kind === 'fallback',
    isPeer: false,
    checksAccess,
    asksPing: checksAccess && kind === 'plain',
    isDefault: index === 0,
    choosesCertificate,
    listen: socketViews(listen),
    names: freeNames(certificate, taken, index === 0),
    certFile: certificate.certFile,
    keyFile: certificate.keyFile,
    clientCaFile: clientCaFile ?? null,
    verifyClient: clientCaFile === undefined ? null : 'optional',
  }));
}

function peerServers({ peers }: CacheConfig): ServerView[] {
  if (peers === undefined || peers.listen.length === 0) return [];
  return [
    {
      kind: 'peer',
      isFallback: false,
      isPeer: true,
      checksAccess: false,
      asksPing: false,
      isDefault: true,
      choosesCertificate: false,
      listen: socketViews(peers.listen),
      names: ['_'],
      certFile: peers.certFile,
      keyFile: peers.keyFile,
      clientCaFile: peers.caFile,
      verifyClient: 'on',
    },
  ];
}

function localServer({ paths }: CacheConfig): ServerView {
  return {
    kind: 'local',
    isFallback: false,
    isPeer: false,
    checksAccess: false,
    asksPing: false,
    isDefault: true,
    choosesCertificate: false,
    listen: [{ socket: `unix:${localSocket(paths)}`, ipv6only: null }],
    names: ['_'],
    certFile: null,
    keyFile: null,
    clientCaFile: null,
    verifyClient: null,
  };
}

/** Who listens on every IPv6 address alone means every address. */
function socketViews(listen: readonly ListenAddress[]): ServerView['listen'] {
  const isEverywhere = listen.length === 1 && listen[0]?.address === '::';
  return listen.map(({ address, port }) => {
    if (!isIPv6(address)) return { socket: `${address}:${port}`, ipv6only: null };
    return { socket: `[${address}]:${port}`, ipv6only: isEverywhere ? 'off' : 'on' };
  });
}

/** A server without names of its own is never chosen by name. */
function freeNames(certificate: Certificate, taken: Set<string>, isDefault: boolean): string[] {
  const names = namesOf(certificate, taken);
  return names.length > 0 ? names : [isDefault ? '_' : '-'];
}

/** The first certificate with a name serves it. */
function namesOf(certificate: Certificate, taken: Set<string>): string[] {
  const names = [...new Set(certificate.names)].filter((name) => !taken.has(name) && !isIPv6(name));
  for (const name of names) taken.add(name);
  return names;
}
