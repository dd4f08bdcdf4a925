/** A node of the cluster: a place with a root of its own in which containerd, kubelet and kube-proxy run. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Authority } from '../kubernetes/certificates.ts';
import { pullByCri } from '../support/cri-client.ts';
import { eventually } from '../support/eventually.ts';
import { apiServerPort, controlAddress, nodeAddress, nodeName, podSubnet } from './addresses.ts';
import { makeCgroup, removeCgroup } from './cgroups.ts';
import {
  kubeletFlags,
  kubeProxyFlags,
  kubeRouterFlags,
  type NodeIdentity,
  nodeFiles,
  ownKubeletFlags,
} from './node-files.ts';
import { keptPath, programFolders, rootPreparation, writeNodeRoot } from './node-root.ts';
import { Place, type RunOptions } from './place.ts';
import { type Programs, systemPath } from './programs.ts';
import { nodeNetworkScript, plugIn } from './wire.ts';

/** Those of every node, in the order in which they are started: kube-proxy waits for the node that the kubelet makes. */
export const daemons = ['containerd', 'kubelet', 'kube-proxy'] as const;
/** And the one of nodes that enforce NetworkPolicies, which is started last: it does not wait. */
const policyDaemon = 'kube-router';
export type Daemon = (typeof daemons)[number] | typeof policyDaemon;

/** How a node joins. */
export interface NodeOptions {
  readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  readonly labels?: Readonly<Record<string, string>>;
}

/** What is the same for all nodes of a cluster. */
export interface NodeSurroundings {
  /** Where the folders of places are. */
  readonly placesFolder: string;
  readonly endingFile: string;
  readonly bridge: Place;
  /** The cluster's, of which each node has its own part. */
  readonly cgroup: string;
  readonly authority: Authority;
  readonly programs: Programs;
}

export class ClusterNode {
  readonly name: string;
  readonly number: number;
  readonly address: string;
  readonly place: Place;
  readonly #around: NodeSurroundings;

  constructor(number: number, around: NodeSurroundings) {
    this.number = number;
    this.name = nodeName(number);
    this.address = nodeAddress(number);
    this.#around = around;
    this.place = new Place(this.name, {
      folder: join(around.placesFolder, this.name),
      path: [...programFolders(folders(around.programs).length), systemPath].join(':'),
      endingFile: around.endingFile,
    });
  }

  /** Writes the node's files. */
  async write(options: NodeOptions = {}): Promise<void> {
    mkdirSync(this.place.folder, { recursive: true });
    const identity = await this.#identity(options);
    writeNodeRoot(this.place.folder, nodeFiles(identity));
    writeFileSync(this.#flagsFile, JSON.stringify(ownKubeletFlags(identity)));
  }

  /** Starts it as a machine boots, but for the daemons named in `late`. */
  async boot(options: { late?: readonly Daemon[] } = {}): Promise<void> {
    const { late = [] } = options;
    await this.#powerOn();
    for (const daemon of this.#daemons) if (!late.includes(daemon)) await this.startDaemon(daemon);
  }

  /** Starts it for the first time, with the images of `files` as if they had always been there. */
  async join(files: readonly string[]): Promise<void> {
    await this.#powerOn();
    await this.startDaemon('containerd');
    for (const file of files) await this.importImage(file);
    for (const daemon of this.#daemons.slice(1)) await this.startDaemon(daemon);
  }

  /** Ends everything on it at once; of what it had in memory nothing is left, its control groups neither. */
  async powerOff(): Promise<void> {
    await this.place.end();
    await removeCgroup(this.#cgroup);
  }

  async reboot(options: { late?: readonly Daemon[] } = {}): Promise<void> {
    await this.powerOff();
    await this.boot(options);
  }

  /** Starts one of its daemons and waits until it does its work; of the kubelet, the cluster knows. */
  async startDaemon(daemon: Daemon): Promise<void> {
    const flags: Record<Daemon, () => string[]> = {
      containerd: () => [],
      kubelet: () => [...kubeletFlags, ...JSON.parse(readFileSync(this.#flagsFile, 'utf8'))],
      'kube-proxy': () => kubeProxyFlags,
      'kube-router': () => kubeRouterFlags(this.name),
    };
    await this.place.startDaemon(daemon, { command: [daemon, ...flags[daemon]()] });
    const trial = trials[daemon];
    if (trial === undefined) return;
    await eventually(() => this.run(trial), { timeout: 30_000 }).catch((cause) => {
      throw new Error(`${daemon} did not start: ${this.place.log(daemon, 2000)}`, { cause });
    });
  }

  /** Kills a daemon (SIGKILL) and leaves it down. */
  async killDaemon(daemon: Daemon): Promise<void> {
    await this.place.endDaemon(daemon, 'SIGKILL');
  }

  /** Ends a daemon as a supervisor does and starts it again. */
  async restartDaemon(daemon: Daemon): Promise<void> {
    await this.place.endDaemon(daemon);
    await this.startDaemon(daemon);
  }

  /** Runs a command as root of the node; rejects, with what it says, when it fails. */
  run(command: readonly string[], options?: RunOptions): Promise<string> {
    return this.place.run(command, options);
  }

  /** Runs containerd's client in the kubelet's namespace. */
  ctr(...args: string[]): Promise<string> {
    return this.run(['ctr', '--namespace', 'k8s.io', ...args], { timeout: 300_000 });
  }

  /** Pulls an image as the kubelet does; returns its id. Rejects with what containerd says. */
  async pull(reference: string): Promise<string | undefined> {
    return await pullByCri(await this.pathNow('/run/containerd/containerd.sock'), reference);
  }

  /** Makes an image known to the kubelet, from an OCI layout or what `docker save` writes, as a tar archive. */
  async importImage(file: string): Promise<void> {
    const target = `/tmp/import-${randomBytes(4).toString('hex')}.tar`;
    await this.copyIn(file, target);
    await this.ctr('images', 'import', '--digests=false', target);
    await this.run(['rm', target]);
  }

  /** The path, on the machine, of something of the node that outlives its reboot: below /etc, /var, /root, /opt or /home. */
  path(path: string): string {
    return keptPath(this.place.folder, path);
  }

  /** The path, on the machine, of anything on the node, for as long as the node is not rebooted. */
  async pathNow(path: string): Promise<string> {
    const init = await this.place.init();
    if (init === undefined) throw new Error(`${this.name} is off`);
    return `/proc/${init}/root${path}`;
  }

  async copyIn(file: string, target: string): Promise<void> {
    await copyFile(file, await this.pathNow(target));
  }

  /** What its daemons have said, each one's last `characters`. */
  logs(characters: number): string {
    return ['place', ...this.#daemons]
      .map((name) => `--- ${name} of ${this.name}\n${this.place.log(name, characters)}`)
      .join('\n');
  }

  get isWritten(): boolean {
    return existsSync(this.#flagsFile);
  }

  get #daemons(): readonly Daemon[] {
    return this.#around.programs.kubeRouter === undefined ? daemons : [...daemons, policyDaemon];
  }

  get #flagsFile(): string {
    return join(this.place.folder, 'kubelet-flags.json');
  }

  get #cgroup(): string {
    return `${this.#around.cgroup}/${this.name}`;
  }

  async #powerOn(): Promise<void> {
    makeCgroup(this.#cgroup);
    await this.place.start(rootPreparation(this.place.folder, this.name, folders(this.#around.programs)));
    await plugIn(this.#around.bridge, this.place, this.address);
    await this.run(['sh', '-ec', nodeNetworkScript(this.number)]);
  }

  async #identity({ taints = [], labels = {} }: NodeOptions): Promise<NodeIdentity> {
    const { authority, programs } = this.#around;
    return {
      name: this.name,
      address: this.address,
      podSubnet: podSubnet(this.number),
      cgroup: this.#cgroup,
      apiServer: `https://${controlAddress}:${apiServerPort}`,
      authority: authority.certificate,
      kubelet: await authority.forUser(`system:node:${this.name}`, ['system:nodes']),
      kubeletServer: await authority.forServer([this.name], [this.address]),
      kubeProxy: await authority.forUser('system:kube-proxy', []),
      // It has a role of its own elsewhere; what it may read is not what is tried here.
      kubeRouter:
        programs.kubeRouter === undefined
          ? undefined
          : await authority.forUser('kube-router', ['system:masters']),
      machineId: randomBytes(16).toString('hex'),
      taints,
      labels,
    };
  }
}

/** Commands that succeed when a daemon is at work: kube-proxy and kube-router, when they have written their rules. */
const trials: Partial<Record<Daemon, string[]>> = {
  containerd: ['ctr', 'version'],
  'kube-proxy': ['busybox', 'wget', '-q', '-O', '-', 'http://127.0.0.1:10256/healthz'],
  'kube-router': ['iptables', '--wait', '--list-rules', 'KUBE-ROUTER-FORWARD'],
};

function folders({ kubernetes, containerd, kubeRouter }: Programs): string[] {
  return [kubernetes, containerd, ...(kubeRouter === undefined ? [] : [kubeRouter])];
}
