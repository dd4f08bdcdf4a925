/** One mirror as node agents are told of it: the contract between operator and agent (docs/adr/0017). Types only; anybody may import it. */

export type Runtime = 'docker' | 'containerd' | 'crio' | 'hosts';

/** A name, as in image references, whose pulls go to the mirror. */
export interface NodeName {
  /** `host[:port]`. */
  readonly name: string;
  /** A name of the upstream itself: where what the mirror does not serve is asked, `host[:port]` as it is dialled. Absent: an alias. */
  readonly upstream?: string;
}

export interface NodeMirror {
  /** metadata.name of the RegistryMirror; the owner of every line and file on the node. */
  readonly name: string;
  /** Container runtimes are wired for these. */
  readonly names: readonly NodeName[];
  /** The Service's addresses, where TLS is spoken on port 443. */
  readonly addresses: readonly string[];
  /** On it the forwarder listens on loopback, and the agent's own server on the node's address. */
  readonly port: number;
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
