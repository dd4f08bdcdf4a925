/**
 * What a registry cache is made of, as plain data: nginx's files and the broker's file are rendered from it.
 * Built by `src/resources` (for a cache pod) and by `src/standalone` (for one machine).
 */
import type { Upstream } from '../api/upstream.ts';

/** One mirror as the cache sees it. */
export interface CacheMirror {
  /** metadata.name: a DNS label of at most 36 characters. */
  readonly name: string;
  readonly upstream: Upstream;
  /** `host[:port]` under which clients reach it; also the path prefix `/v2/<masquerade>/`. */
  readonly masquerade: string;
  /** Further names it answers to by Host and `?ns=`: of the upstream, the Service and its address. */
  readonly names: readonly string[];
  readonly tagTtlSeconds: number;
  readonly tagPolicy: TagPolicy;
  readonly access: Access;
  /** passThrough: how long the upstream's answer about one client and object counts. */
  readonly authTtlSeconds: number;
  /** nginx's `max_size`; checked in rounds up to 10 s apart. */
  readonly maxSizeMiB: number;
  /** What nobody asked for in this time is removed; absent: nothing is while there is room. */
  readonly inactiveSeconds?: number;
  /** nginx's own folder: its loader deletes every file it does not know. The parent must exist. */
  readonly cacheDir: string;
  /** The one with the longest prefix that a repository begins with counts. */
  readonly credentials: readonly CredentialPlace[];
  /** PEM bundles trusted towards the upstream beside the system's; followed, may be missing. */
  readonly caFiles: readonly string[];
  /** `host` or `*.domain`: may be redirected to whatever they resolve to. */
  readonly redirectHosts: readonly string[];
  /** Token servers of other domains that may be shown the credentials; absent: none. */
  readonly tokenHosts?: readonly string[] | undefined;
  /** HTTP proxy (CONNECT) for everything outside; absent: none. */
  readonly egressProxy?: EgressProxy;
  readonly timeouts: UpstreamTimeouts;
}

/** How tags stay fresh (docs/adr/0010). */
export type TagPolicy = 'revalidate' | 'background' | 'immutable';

/** Who may read what (docs/adr/0011). */
export type Access = 'publicOnly' | 'shared' | 'passThrough';

/** Credentials for the repositories (as clients write them) below `prefix`; the empty text is all of them. */
export interface CredentialPlace {
  readonly prefix: string;
  /** Folder with `username` and `password`, `.dockerconfigjson`, or `token`; followed while running. */
  readonly dir: string;
}

export interface EgressProxy {
  /** `http[s]://host[:port]`, without user name and password: the files of a cache hold no secret. */
  readonly url: string;
  /** Hosts, domains (`.example.com`), addresses and CIDRs that are asked directly; `*`: all. */
  readonly noProxy: readonly string[];
}

/** Milliseconds; as `Timeouts` of `src/registry`. */
export interface UpstreamTimeouts {
  readonly connect: number;
  readonly headers: number;
  readonly bodyIdle: number;
}

/** A certificate nginx serves; `names` are the server names (SNI) it is chosen for. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly names: readonly string[];
}

/** A TCP socket nginx listens on; an IPv6 address without brackets. */
export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

/** Everything nginx and the broker of one cache are told. Holds no secret. */
export interface CacheConfig {
  readonly mirrors: readonly CacheMirror[];
  /**
   * Where clients come that have no other way (alias, Service address, hosts line): they get the upstream's own status.
   * List IPv6 only where the kernel has it (in a cluster: where the Service has an IPv6 family).
   */
  readonly listen: readonly ListenAddress[];
  /** Where clients come that go to the upstream themselves when we do not have it: 404, never 401 (docs/adr/0011). */
  readonly fallbackListen: readonly ListenAddress[];
  /** Set where there are other replicas, or may be. */
  readonly peers?: Peers;
  /** PEM authorities; every client but a health check must show a certificate of one of them. Absent: none is asked for. */
  readonly clientCaFile?: string;
  /** Broker processes; each object is always handled by the same one. */
  readonly brokerProcesses: number;
  /** Where the broker answers `/metrics` and `/status` over plain HTTP; holds no secret. */
  readonly metricsListen?: ListenAddress;
  /** The first one is served to clients that name none of the others. */
  readonly certificates: readonly Certificate[];
  readonly paths: CachePaths;
  /** A file, or `/dev/stdout` where that is a file or a pipe (nginx cannot open a socket). */
  readonly accessLog: string;
  readonly workerProcesses: number;
  /** Set when nginx starts as root: the user of its workers, who must own the cache folders. */
  readonly user?: string;
  /** Bytes nginx asks for at once; `defaultSliceSizeKiB` but for tests. Changing it orphans cached blobs. */
  readonly sliceSizeKiB: number;
}

/** The replicas of one cache and how they talk: mutual TLS by certificates of the operator's own authority. */
export interface Peers {
  /** Only replicas are let in here; what comes this way is never passed on to another replica. */
  readonly listen: readonly ListenAddress[];
  /** All replicas, this one included; which one a process is, it is told when it starts. */
  readonly replicas: readonly Replica[];
  /** Common name of every replica's certificate, and a name in its SAN: what both sides check. */
  readonly commonName: string;
  readonly serverName: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** PEM authorities that sign replicas' certificates; nobody else's. */
  readonly caFile: string;
}

export interface Replica {
  /** `registry-mirror-<mirror>-<ordinal>`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** Folders of one cache; all but `confDir` are written to. */
export interface CachePaths {
  /** `nginx.pid` and `broker.sock`. */
  readonly runDir: string;
  /** nginx's temporary files. */
  readonly tempDir: string;
  /** `nginx.conf`, `default.conf`, `broker.json`. */
  readonly confDir: string;
  /** The broker's own state. */
  readonly brokerDir: string;
}

/** 8 MiB: a waiter's first byte needs one slice; the upstream sees one request per slice. */
export const defaultSliceSizeKiB = 8 * 1024;

/** The unix socket on which broker process `index` listens for nginx; the first is also asked for status, purge and the like. */
export function brokerSocket(paths: Pick<CachePaths, 'runDir'>, index = 0): string {
  return `${paths.runDir}/broker${index === 0 ? '' : `-${index}`}.sock`;
}

/** The unix socket on which nginx serves the pod itself, without TLS and as the plain addresses do: warming, scrubbing. */
export function localSocket(paths: Pick<CachePaths, 'runDir'>): string {
  return `${paths.runDir}/local.sock`;
}

/** nginx writes one line for each request here, the broker counts them and keeps the file small. */
export function requestLog(paths: Pick<CachePaths, 'runDir'>): string {
  return `${paths.runDir}/requests.log`;
}

/** The file that holds the process id of nginx's master. */
export function nginxPidFile(paths: Pick<CachePaths, 'runDir'>): string {
  return `${paths.runDir}/nginx.pid`;
}
