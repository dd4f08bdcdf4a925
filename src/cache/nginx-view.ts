/** What nginx's two templates are given, computed from a `CacheConfig`. Pure; templates only loop and print. */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { splitHostPort } from '../api/upstream.ts';
import {
  type Access,
  brokerSocket,
  type CacheConfig,
  type CacheMirror,
  nginxPidFile,
  requestLog,
} from './cache-config.ts';
import {
  type CertificateChoice,
  certificateChoices,
  hasPassThrough,
  type ServerView,
  serverViews,
} from './nginx-servers.ts';
import { chunkedLength } from './slice-body.ts';
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
  /** Lengths of a whole slice as nginx counts them: as it came in chunks; other versions may count the bytes alone. */
  readonly wholeSlice: string;
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
  /** Names by which one of several certificates is chosen where clients show theirs; else empty. */
  readonly certificateChoices: readonly CertificateChoice[];
  readonly defaultCertFile: string;
  readonly defaultKeyFile: string;
  readonly servers: readonly ServerView[];
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
  const [first] = certificates;
  if (first === undefined || mirrors.length === 0) {
    throw new TypeError('a cache needs a certificate and a mirror');
  }
  const names = selectors(mirrors);
  const sliceBytes = config.sliceSizeKiB * 1024;
  const known = names.filter(({ mirror }) => mirror !== ambiguous);
  return {
    accessLog: config.accessLog,
    requestLog: requestLog(config.paths),
    brokerSockets: Array.from(
      { length: config.brokerProcesses },
      (_, index) => `unix:${brokerSocket(config.paths, index)}`,
    ),
    slice: `${config.sliceSizeKiB}k`,
    wholeSlice: [sliceBytes, chunkedLength(sliceBytes)].join('|'),
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
    certificateChoices: certificateChoices(config),
    defaultCertFile: first.certFile,
    defaultKeyFile: first.keyFile,
    servers: serverViews(config),
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
