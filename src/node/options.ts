import type { ForeignLines, HostsEntry } from './hosts-file.ts';

/** `wire`: put the desired state in place and keep it. `restore`: take back what this mirror's agents did. */
export type AgentMode = 'wire' | 'restore';

/** What a node agent is told, parsed. Paths under "host" are the host's own and lie below `hostRoot` for the process. */
export interface AgentOptions {
  readonly mode: AgentMode;
  /** The RegistryMirror's name; the owner of every line and file. */
  readonly mirror: string;
  readonly hostRoot: string;
  /** Host path of the folder that all agents of a node share: journal and redo file. */
  readonly stateFolder: string;
  /** Host path of the hosts file. */
  readonly hostsFile: string;
  /** Host path of the copy of the first original; where a folder lies there: the file `hosts` in it. */
  readonly hostsBackup: string;
  /** Host path of the lock; where a folder lies there: the file `mirror-hostess` in it. */
  readonly lockFile: string;
  /** The lines wanted in the hosts file; empty when none is (services mode). */
  readonly entries: readonly HostsEntry[];
  readonly foreignLines: ForeignLines;
  /** The names, as in image references, that Docker is to trust the CA for. */
  readonly certificateNames: readonly string[];
  /** Container path of the CA bundle (PEM). */
  readonly caFile: string;
  /** Container path of the file that says "has made a pass" (`wire`) or "is restored" (`restore`). */
  readonly readyFile: string;
  /** Milliseconds between two passes when nothing hints at a change. */
  readonly interval: number;
}
