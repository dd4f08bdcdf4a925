import type { NodeMirror } from '../api/node-mirror.ts';

/** `wire`: put the desired state in place and keep it. `restore`: take back what the mirrors' agents did. */
export type AgentMode = 'wire' | 'restore';

/** A mirror with the files that the agent reads for it; container paths. */
export interface WiredMirror extends NodeMirror {
  /** Authorities by which the mirror is verified (PEM). */
  readonly caFile: string;
  /** What the forwarder shows where `clientCertificate` is true. */
  readonly client?: CertificateFiles;
}

/** PEM files. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** The mirrors that this agent is about. */
export interface MirrorList {
  readonly mirrors: readonly WiredMirror[];
  /** True where it names every mirror of the node: what others have left there is taken back. */
  readonly whole: boolean;
  /** Mirrors that are none of this agent's, whatever of them lies on the node. */
  readonly others?: readonly string[];
  /** Mirrors that are to be taken back now. What is named nowhere may be newer than the list. */
  readonly gone?: readonly string[];
  /** Of the list; absent: whoever wrote it counts none. */
  readonly version?: number;
  /** Mirrors of which something in the list is not as expected; among `others`. */
  readonly refused?: readonly RefusedMirror[];
}

/** Which one, and what was expected. */
export interface RefusedMirror {
  readonly name: string;
  readonly fault: string;
}

/** The places that the passes of all agents of a node share. Paths under "host" are the host's own and lie below `hostRoot` for the process. */
export interface NodePlaces {
  readonly hostRoot: string;
  /** Host path of the folder that all agents of a node share: journal and redo file. */
  readonly stateFolder: string;
  /** Host path of the hosts file. */
  readonly hostsFile: string;
  /** Host path of the copy of the first original; where a folder lies there: the file `hosts` in it. */
  readonly hostsBackup: string;
  /** Host path of the lock; where a folder lies there: the file `mirror-hostess` in it; where a file lies in place of its folder: that. */
  readonly lockFile: string;
}

/** What a node agent is told, parsed. */
export interface AgentOptions extends NodePlaces {
  readonly mode: AgentMode;
  /** The Node's name; empty where nobody said it. */
  readonly node: string;
  /** Throws where the list cannot be read; what was wired stays. */
  readonly mirrors: () => MirrorList;
  /** Takes a list that the operator brings, as JSON; true where it is newer. Throws a `TypeError` where it is none. Absent: nobody brings one. */
  readonly takeList?: (body: string) => boolean;
  /** Container paths whose folders hold what the list and its certificates are read from; a change there is a hint. */
  readonly watched: readonly string[];
  /** Container path of the file that says "has made a pass" (`wire`) or "is restored" (`restore`). */
  readonly readyFile: string;
  /** Milliseconds between two passes when nothing hints at a change. */
  readonly interval: number;
  /** Container path of the forwarder's own folder. */
  readonly forwarderFolder: string;
  /** Container path of the unix socket on which the node's own people are told the status. */
  readonly statusSocket: string;
  /** Where the operator is told the status; absent: nowhere. */
  readonly statusServer?: StatusServerOptions;
}

/** Mutual TLS. */
export interface StatusServerOptions {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly certificate: CertificateFiles;
  /** Who signs the operator's certificate (PEM). */
  readonly authoritiesFile: string;
}
