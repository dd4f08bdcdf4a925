/** What is known of a node's runtimes, and what of them a mirror wires. Pure. */
import type { NodeMirror, Runtime } from '../api/node-mirror.ts';

/** A container runtime that is there: it runs, or its files say that it may. */
export interface RuntimeFacts {
  readonly running: boolean;
  /** As it says itself: `1.6.20`. */
  readonly version?: string;
  /** Milliseconds since 1970. */
  readonly startedAt?: number;
  /** Of the process. */
  readonly commandLine?: readonly string[];
}

export interface ContainerdFacts extends RuntimeFacts {
  /** The file that it was started with, where it runs or has a moment ago. */
  readonly configFile?: string;
}

export interface DockerFacts extends RuntimeFacts {
  /** Docker 29's image store, which reads hosts.toml in certs.d. */
  readonly containerdStore?: boolean;
}

/** The runtimes of a node; absent: not there. CRI-O stands for all that read registries.conf. */
export interface NodeFacts {
  readonly docker?: DockerFacts;
  readonly containerd?: ContainerdFacts;
  readonly crio?: RuntimeFacts;
}

/** True where the mirror wires the runtime on this node. */
export function isWired(runtime: Exclude<Runtime, 'hosts'>, mirror: NodeMirror, facts: NodeFacts): boolean {
  if (mirror.runtimes.includes(runtime)) return true;
  return mirror.runtimes.includes('auto') && facts[runtime] !== undefined;
}

/** True for a Docker whose images of other registries than docker.io can only be led by the hosts file. */
export function isClassicDocker(mirror: NodeMirror, facts: NodeFacts): boolean {
  return isWired('docker', mirror, facts) && !readsHostsToml(facts.docker);
}

/** Documented of Docker 29 with containerd's image store; that store is older. */
function readsHostsToml({ containerdStore, version = '' }: DockerFacts = { running: false }): boolean {
  return containerdStore === true && Number.parseInt(version, 10) >= 29;
}

/** Docker Hub in image references. dockerd asks no certs.d for it, and takes mirrors for it alone. */
export const hub = 'docker.io';

/** The folders of certs.d that are to be trusted. */
export function trustedNames(mirror: NodeMirror, facts: NodeFacts): readonly string[] {
  const classic = isClassicDocker(mirror, facts) && !mirror.clientCertificate;
  const wired = classic ? mirror.names.filter(({ name }) => name !== hub).map(({ name }) => name) : [];
  return [...new Set([...mirror.certificateNames, ...wired])];
}
