/**
 * What a node agent says of its node: `GET https://NODE:PORT/status` (docs/adr/0017). The contract between agent, operator and `doctor`. Types
 * and what follows from them; anybody may import it. Never holds the content of a file.
 */
import type { Runtime } from './node-mirror.ts';

export interface NodeReport {
  /** The Node's name; empty where the agent was not told. */
  readonly node: string;
  /** When the last pass ended; RFC 3339. */
  readonly at: string;
  readonly mode: 'wire' | 'restore';
  readonly mirrors: readonly MirrorOnNode[];
  /** Every mirror that has anything on the node, listed or not; absent: the agent does not know. */
  readonly owners?: readonly string[];
  /** Version of the list by which the last pass was made; absent: it had none, or the agent is of a version that cannot be brought one. */
  readonly list?: number;
}

export interface MirrorOnNode {
  readonly name: string;
  /** Everything desired is in place. */
  readonly complete: boolean;
  readonly forwarder: ForwarderReport | null;
  /** Those that are found or named. */
  readonly runtimes: readonly RuntimeOnNode[];
  readonly findings: readonly FindingReport[];
}

/** The loopback endpoint of a mirror. */
export interface ForwarderReport {
  readonly port: number;
  /** It listens. */
  readonly offered: boolean;
  /** When that last changed; RFC 3339. Absent: never. */
  readonly since?: string;
  /** CamelCase and stable: `Answers`, or why it does not listen. */
  readonly reason: string;
  readonly detail: string;
  /** Since the agent began. A connection counts once it has ended. */
  readonly connections: number;
  /** To clients. */
  readonly bytes: number;
  /** When a connection last ended; RFC 3339. */
  readonly lastUsed?: string;
}

export interface RuntimeOnNode {
  readonly runtime: Runtime;
  readonly found: boolean;
  readonly version?: string;
  /** What it reads sends pulls to the mirror. */
  readonly wired: boolean;
  /** It has read that: a pull that begins now asks the mirror. */
  readonly live: boolean;
  /** Why it is not wired or not live, CamelCase and stable; empty where it is. */
  readonly reason: string;
  readonly message: string;
  /**
   * Pulls of it came through the forwarder since the agent began. Absent where that cannot be told: it does not use the forwarder, or
   * several runtimes do.
   */
  readonly used?: boolean;
  /** It waits for the operator's word to restart this runtime (`spec.nodes.containerd: configureAndRestart`). */
  readonly restartNeeded?: boolean;
}

export interface FindingReport {
  /** CamelCase and stable. */
  readonly reason: string;
  /** On the host. */
  readonly path?: string;
  readonly message: string;
  /** A part of the desired state is not in place because of it. */
  readonly blocks: boolean;
}

/**
 * Whether a pull on the node that begins now goes through the mirror: a runtime asks there, and where that is on loopback, it is answered. Lines in the
 * hosts file alone lead nobody of whom more is known.
 */
export function reachesMirror({ runtimes, forwarder }: MirrorOnNode): boolean {
  const known = runtimes.filter(({ runtime }) => runtime !== 'hosts');
  const asking = known.length > 0 ? known : runtimes;
  return asking.some(({ wired, live }) => wired && live) && (forwarder === null || forwarder.offered);
}
