/** One mirror as node agents are told of it: the contract between operator and agent (docs/adr/0017, 0019). Anybody may import it. */
import { createHash } from 'node:crypto';

export type Runtime = 'docker' | 'containerd' | 'crio' | 'hosts';

/** A name, as in image references, whose pulls go to the mirror. */
export interface NodeName {
  /** `host[:port]`. */
  readonly name: string;
  /** True for a name of the upstream itself, which is asked for what the mirror does not serve; false for an alias. */
  readonly upstream: boolean;
  /** By which the upstream is asked under its own name; absent: https. */
  readonly scheme?: 'https' | 'http';
}

export interface NodeMirror {
  /** metadata.name of the RegistryMirror; the owner of every line and file on the node. */
  readonly name: string;
  /** Container runtimes are wired for these. */
  readonly names: readonly NodeName[];
  /** The Service's addresses, where TLS is spoken on port 443. */
  readonly addresses: readonly string[];
  /** The Service's port for who goes to the upstream himself where the mirror does not serve (docs/adr/0011): the forwarder's. Absent: 443. */
  readonly fallbackPort?: number;
  /** Where the forwarder listens on loopback; none: nothing is wired to it. */
  readonly port?: number;
  /** `loopback`: runtimes dial the forwarder. `service`: they dial the Service, with a CA on the node's disk. */
  readonly endpoint: 'loopback' | 'service';
  /** The DNS name by which the mirror's certificate is verified. */
  readonly serverName: string;
  /** Which runtimes are wired; `auto`: those that are found. */
  readonly runtimes: readonly (Runtime | 'auto')[];
  /** Names that get a line in the hosts file whatever runs on the node (the original's aliases). */
  readonly hostsNames: readonly string[];
  /** Folders of Docker's certs.d that get the CA whatever runs on the node. */
  readonly certificateNames: readonly string[];
  /** The mirror serves only who shows the agents' certificate: nothing but the forwarder can. */
  readonly clientCertificate: boolean;
  /** What is done about a containerd that reads no hosts.toml. */
  readonly containerd: 'report' | 'configure' | 'configureAndRestart';
  readonly foreignFiles: 'refuse' | 'takeover';
  readonly foreignHostsLines: 'override' | 'respect';
}

/** The list of shared agents as JSON in a file; what is added must be such that agents and operators of earlier versions need not know it. */
export interface NodeList {
  /**
   * Grows with every change of the list, over restarts of the operator too: the time of the change in milliseconds since the epoch, or the
   * one before and 1. Absent: written by an operator that counts none.
   */
  readonly version?: number;
  readonly mirrors: readonly ListEntry[];
  /** Mirrors that other agents wire, or that nobody may touch now. */
  readonly others: readonly string[];
  /** Mirrors that are to be taken back. */
  readonly gone: readonly string[];
  /** Since which version a mirror is in `mirrors` no more; forgotten after a while. */
  readonly left?: Readonly<Record<string, number>>;
  /** Since which version each mirror stands in `mirrors` as it does. */
  readonly since?: Readonly<Record<string, number>>;
}

/** What `POST /list` brings to a shared agent: the list and the authorities that it names, by the names of their files. */
export interface BroughtList {
  readonly files: Readonly<Record<string, string>>;
}

/** Name of the list among its files, and key in its Secret. */
export const listKey = 'mirrors.json';

/** Name of the file with these authorities (PEM), and key in the Secret; no other key ends so. */
export function bundleName(authorities: string): string {
  return `${createHash('sha256').update(authorities).digest('hex').slice(0, 16)}.pem`;
}

/** A mirror in the list of shared agents. */
export interface ListEntry extends NodeMirror {
  /** Name of the file beside the list, and key of its Secret, with the authorities by which it is verified. Most mirrors have the same. */
  readonly bundle: string;
}
