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
  /** nginx's `max_size`; checked in rounds up to 10 s apart. */
  readonly maxSizeMiB: number;
  /** nginx's own folder: its loader deletes every file it does not know. The parent must exist. */
  readonly cacheDir: string;
  /** Folder with `username` and `password`, `.dockerconfigjson`, or `token`; followed while running. */
  readonly credentialsDir?: string;
  /** PEM bundles trusted towards the upstream beside the system's; followed, may be missing. */
  readonly caFiles: readonly string[];
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
  /** List IPv6 only where the kernel has it (in a cluster: where the Service has an IPv6 family). */
  readonly listen: readonly ListenAddress[];
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

/** The unix socket on which the broker listens for nginx. */
export function brokerSocket(paths: CachePaths): string {
  return `${paths.runDir}/broker.sock`;
}

/** The file that holds the process id of nginx's master. */
export function nginxPidFile(paths: Pick<CachePaths, 'runDir'>): string {
  return `${paths.runDir}/nginx.pid`;
}
