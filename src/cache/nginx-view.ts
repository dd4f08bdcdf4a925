/** What nginx's two templates are given, computed from a `CacheConfig`. Pure; templates only loop and print. */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { splitHostPort } from '../api/upstream.ts';
import {
  type Access,
  brokerSocket,
  type CacheConfig,
  type CacheMirror,
  type Certificate,
  type ListenAddress,
  localSocket,
  nginxPidFile,
  requestLog,
} from './cache-config.ts';
import { upstreamIdentity } from './upstream-identity.ts';

/** The view of `templates/nginx.conf.hbs`. */
export interface NginxView {
  readonly user: string | null;
  readonly workerProcesses: number;
  readonly pidFile: string;
  readonly bodyTemp: string;
  readonly proxyTemp: string;
  readonly fastcgiTemp: string;
  readonly uwsgiTemp: string;
  readonly scgiTemp: string;
  readonly include: string;
}

/** A text a client may send, and the mirror it means. */
export interface Selector {
  readonly text: string;
  readonly mirror: string;
}

/** The view of `templates/default.conf.hbs`. */
export interface DefaultView {
  readonly accessLog: string;
  readonly requestLog: string;
  readonly brokerSockets: readonly string[];
  readonly slice: string;
  /** Changes with the configuration; `/health-check` tells it, so that the end of a reload can be seen. */
  readonly generation: string;
  readonly mirrors: readonly {
    readonly name: string;
    /** Tells one upstream from another in the keys of tags. */
    readonly upstream: string;
    readonly cacheDir: string;
    readonly zone: string;
    readonly keysZone: string;
    readonly maxSize: string;
    readonly inactive: string;
    readonly access: Access;
  }[];
  /** All masquerade names as one regular expression. */
  readonly prefixPattern: string;
  readonly prefixes: readonly Selector[];
  readonly namespaces: readonly Selector[];
  /** Names without a port, valid on any. */
  readonly hosts: readonly Selector[];
  /** Names with a port. */
  readonly authorities: readonly Selector[];
  /** The mirror any other Host means, if there is only one. */
  readonly onlyMirror: string | null;
  /** Where the upstream decides for each client, it is asked before anything is served. */
  readonly hasPassThrough: boolean;
  /** Common name of the replicas' certificates. */
  readonly peerName: string | null;
  readonly servers: readonly ServerView[];
}

/** Who comes by an address: contract/addressing.md section 3. The broker is told it as `X-Address-Kind`. */
export type AddressKind = 'plain' | 'fallback' | 'peer' | 'local';

interface ServerView {
  readonly kind: AddressKind;
  readonly isFallback: boolean;
  readonly isPeer: boolean;
  /** Clients are served what the upstream lets them read, by its own word. */
  readonly checksAccess: boolean;
  /** `GET /v2/` is the upstream's to answer: its challenge. */
  readonly asksPing: boolean;
  readonly isDefault: boolean;
  readonly listen: readonly { readonly socket: string; readonly ipv6: boolean }[];
  readonly names: readonly string[];
  /** Null: without TLS. */
  readonly certFile: string | null;
  readonly keyFile: string | null;
  readonly clientCaFile: string | null;
  /** nginx's `ssl_verify_client`. */
  readonly verifyClient: 'optional' | 'on' | null;
}

/** A name of several mirrors: Host or prefix must tell them apart. */
const ambiguous = '*';

/** Returns the view of nginx's main file. */
export function nginxView({ paths, user, workerProcesses }: CacheConfig): NginxView {
  return {
    user: user ?? null,
    workerProcesses,
    pidFile: nginxPidFile(paths),
    bodyTemp: `${paths.tempDir}/body`,
    proxyTemp: `${paths.tempDir}/proxy`,
    fastcgiTemp: `${paths.tempDir}/fastcgi`,
    uwsgiTemp: `${paths.tempDir}/uwsgi`,
    scgiTemp: `${paths.tempDir}/scgi`,
    include: `${paths.confDir}/default.conf`,
  };
}

/** Returns the view of the caches and servers. Throws when there is no certificate or no mirror. */
export function defaultView(config: CacheConfig): DefaultView {
  const { mirrors, certificates } = config;
  if (certificates.length === 0 || mirrors.length === 0) {
    throw new TypeError('a cache needs a certificate and a mirror');
  }
  const names = selectors(mirrors);
  const known = names.filter(({ mirror }) => mirror !== ambiguous);
  return {
    accessLog: config.accessLog,
    requestLog: requestLog(config.paths),
    brokerSockets: Array.from(
      { length: config.brokerProcesses },
      (_, index) => `unix:${brokerSocket(config.paths, index)}`,
    ),
    slice: `${config.sliceSizeKiB}k`,
    generation: createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16),
    mirrors: mirrors.map(cacheView),
    prefixPattern: mirrors.map(({ masquerade }) => literal(masquerade)).join('|'),
    prefixes: mirrors.map(({ name, masquerade }) => ({ text: masquerade, mirror: name })),
    namespaces: names.flatMap(({ text, mirror }) =>
      spellings(text).map((spelt) => ({ text: spelt, mirror })),
    ),
    hosts: known.filter(({ text }) => splitHostPort(text).port === undefined),
    authorities: known.filter(({ text }) => splitHostPort(text).port !== undefined),
    onlyMirror: mirrors.length === 1 ? (mirrors[0]?.name ?? null) : null,
    hasPassThrough: hasPassThrough(config),
    peerName: config.peers?.commonName ?? null,
    servers: [
      ...clientServers(config, 'plain', config.listen),
      ...clientServers(config, 'fallback', config.fallbackListen),
      ...peerServers(config),
      localServer(config),
    ],
  };
}

function cacheView(mirror: CacheMirror): DefaultView['mirrors'][number] {
  const { name, upstream, cacheDir, maxSizeMiB, inactiveSeconds, access } = mirror;
  return {
    name,
    upstream: upstreamIdentity(upstream),
    cacheDir,
    zone: `mirror-${name}`,
    keysZone: keysZone(maxSizeMiB),
    maxSize: `${maxSizeMiB}m`,
    // Ten years: nginx would take ten minutes.
    inactive: inactiveSeconds === undefined ? '10y' : `${inactiveSeconds}s`,
    access,
  };
}

/**
 * Memory for nginx's keys, 128 bytes each and so 8000 in a MiB: 200 000 small objects, and one key for each 4 MiB of the
 * bound (slices are 8 MiB, but the last one of a blob is not full). A zone that is full evicts. Taken as it is used.
 */
function keysZone(maxSizeMiB: number): string {
  const keys = 200_000 + maxSizeMiB / 4;
  return `${1 + Math.ceil(keys / 8000)}m`;
}

/** Every name once. A masquerade name is its mirror's own; another name that several mirrors have is ambiguous. */
function selectors(mirrors: readonly CacheMirror[]): Selector[] {
  const owners = new Map<string, string>();
  for (const { name, names } of mirrors) {
    for (const text of new Set(names.map(authority))) {
      owners.set(text, owners.has(text) ? ambiguous : name);
    }
  }
  for (const { name, masquerade } of mirrors) owners.set(masquerade, name);
  return [...owners].map(([text, mirror]) => ({ text, mirror }));
}

/** The name as it stands in a Host header: an IPv6 address gets brackets. */
function authority(name: string): string {
  return isIPv6(name) ? `[${name}]` : name.toLowerCase();
}

/** `?ns=` is compared as it is sent, so each way to escape a port or an address is a name of its own (in any case). */
function spellings(text: string): string[] {
  const escaped = encodeURIComponent(text);
  const keepsBrackets = text.replaceAll(':', '%3A');
  return [...new Set([text, escaped, keepsBrackets])];
}

/** A masquerade name as a regular expression that matches just it, without a backslash. */
function literal(text: string): string {
  return text.replace(/[.[\]]/g, '[$&]');
}

/** One server for each certificate; all of them ask clients for the same, so that no name leads around it. */
function clientServers(
  config: CacheConfig,
  kind: 'plain' | 'fallback',
  listen: readonly ListenAddress[],
): ServerView[] {
  if (listen.length === 0) return [];
  const { certificates, clientCaFile } = config;
  const checksAccess = hasPassThrough(config);
  const taken = new Set<string>();
  return certificates.map((certificate, index) => ({
    kind,
    isFallback: kind === 'fallback',
    isPeer: false,
    checksAccess,
    asksPing: checksAccess && kind === 'plain',
    isDefault: index === 0,
    listen: listen.map(socketView),
    names: freeNames(certificate, taken, index === 0),
    certFile: certificate.certFile,
    keyFile: certificate.keyFile,
    clientCaFile: clientCaFile ?? null,
    verifyClient: clientCaFile === undefined ? null : 'optional',
  }));
}

function hasPassThrough({ mirrors }: CacheConfig): boolean {
  return mirrors.some(({ access }) => access === 'passThrough');
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
      listen: peers.listen.map(socketView),
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
    listen: [{ socket: `unix:${localSocket(paths)}`, ipv6: false }],
    names: ['_'],
    certFile: null,
    keyFile: null,
    clientCaFile: null,
    verifyClient: null,
  };
}

function socketView({ address, port }: ListenAddress): ServerView['listen'][number] {
  const ipv6 = isIPv6(address);
  return { socket: ipv6 ? `[${address}]:${port}` : `${address}:${port}`, ipv6 };
}

/** The first certificate with a name serves it. A server without names of its own is never chosen by name. */
function freeNames(certificate: Certificate, taken: Set<string>, isDefault: boolean): string[] {
  const names = [...new Set(certificate.names)].filter((name) => !taken.has(name) && !isIPv6(name));
  for (const name of names) taken.add(name);
  return names.length > 0 ? names : [isDefault ? '_' : '-'];
}
