/**
 * A Kubernetes cluster on this machine: two nodes, a control plane and an internet, each in namespaces of its own on one bridge, without a way
 * out. It outlives the process that made it; its folder is all there is to know of it.
 */
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { AdminClient } from '../kubernetes/admin-client.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { filesIn } from '../kubernetes/flags.ts';
import { eventually } from '../support/eventually.ts';
import { type ClusterAccess, controlPlaneFolder, readAccess } from './access.ts';
import { dnsObjects, storageClassObject, volumeFolder, volumeObject } from './addons.ts';
import {
  type ClusterState,
  endingFile,
  isWhole,
  placesFolder,
  readState,
  writeState,
} from './cluster-state.ts';
import { ClusterControlPlane } from './control-plane.ts';
import { writeImageArchive } from './image-archive.ts';
import { Internet } from './internet.ts';
import { ClusterNode, type NodeOptions } from './node.ts';
import { ownImages } from './own-images.ts';
import { Place } from './place.ts';
import { Pods } from './pods.ts';
import { type Programs, systemPath } from './programs.ts';
import { tearDown } from './teardown.ts';

/** Finds the cluster in a folder; undefined where there is no whole one, or one that a reboot of the machine has ended. */
export async function openCluster(folder: string): Promise<Cluster | undefined> {
  if (!existsSync(folder)) return undefined;
  const path = realpathSync(folder);
  const state = readState(path);
  if (state === undefined || !isWhole(path)) return undefined;
  const cluster = new Cluster(path, state, await readAccess(path));
  if (await cluster.controlPlane.place.isThere()) return cluster;
  await cluster.close();
  return undefined;
}

/** Made by `startCluster`, found by `openCluster`. */
export class Cluster extends AdminClient {
  readonly folder: string;
  /** Of the admin, for kubectl on this machine. */
  readonly kubeconfigPath: string;
  /** The authority that signed the API server's certificate, as PEM in a file. */
  readonly caFile: string;
  readonly nodes: ClusterNode[] = [];
  readonly controlPlane: ClusterControlPlane;
  readonly internet: Internet;
  readonly pods: Pods;
  readonly #access: ClusterAccess;
  #state: ClusterState;

  constructor(folder: string, state: ClusterState, access: ClusterAccess) {
    super(access.url, access.authority.certificate, access.adminToken);
    const files = filesIn(controlPlaneFolder(folder));
    this.folder = folder;
    this.kubeconfigPath = files.kubeconfig;
    this.caFile = files.ca;
    this.pods = new Pods(this, this.kubeconfigPath);
    this.#access = access;
    this.#state = state;
    this.controlPlane = controlPlaneOf(folder, state.programs);
    this.internet = new Internet(placeOf(folder, 'internet'), {
      dnsProgram: join(state.programs.own, 'coredns'),
    });
    this.nodes = state.nodes.map((number) => this.#node(number));
  }

  /** Only for `startCluster`. */
  async begin(nodes: number, report: (line: string) => void): Promise<void> {
    report('Making the bridge, the internet and the images of the cluster itself');
    await this.controlPlane.makeBridge();
    await this.internet.start(this.controlPlane.place);
    this.#writeImages();
    report('Starting the control plane');
    await this.controlPlane.start(this.#state.port, this);
    report(`Starting ${nodes} nodes`);
    await Promise.all(Array.from({ length: nodes }, () => this.#join({})));
    await Promise.all(this.nodes.map((node) => this.untilReady(node)));
    await this.#applyAddons();
    await this.pods.waitFor({ namespace: 'kube-system', labels: 'k8s-app=kube-dns', count: 2 });
  }

  /** Adds a node and returns it Ready. Its taints and labels are there from its first moment on. */
  async addNode(options: NodeOptions = {}): Promise<ClusterNode> {
    const node = await this.#join(options);
    await this.untilReady(node);
    return node;
  }

  async untilReady(node: ClusterNode): Promise<void> {
    await eventually(
      async () => {
        const { status } = await this.adminFetch<NodeObject>(`/api/v1/nodes/${node.name}`);
        const ready = status.conditions?.find(({ type }) => type === 'Ready');
        if (ready?.status !== 'True') throw new Error(ready?.message ?? 'It has no condition Ready');
      },
      { timeout: 90_000, interval: 200, message: `${node.name} was not Ready` },
    ).catch((cause) => {
      throw new Error(`${node.name} was not Ready; it says:\n${node.logs(2000)}`, { cause });
    });
  }

  /** Makes an image known on each node; see `ClusterNode.importImage`. */
  async importImage(file: string): Promise<void> {
    for (const node of this.nodes) await node.importImage(file);
  }

  /** Makes volumes of the default class on a node, as an administrator would; names must be new. */
  async addVolumes(node: ClusterNode, volumes: readonly { name: string; size: string }[]): Promise<void> {
    for (const { name, size } of volumes) {
      mkdirSync(node.path(volumeFolder(name)), { recursive: true });
      await this.apply(volumeObject({ name, size, node: node.name }));
    }
  }

  /** Removes all of it. */
  async stop(): Promise<void> {
    await this.close();
    await tearDown(this.folder);
  }

  async #join(options: NodeOptions): Promise<ClusterNode> {
    const number = this.#state.nodes.length + 1;
    this.#state = { ...this.#state, nodes: [...this.#state.nodes, number] };
    writeState(this.folder, this.#state);
    const node = this.#node(number);
    this.nodes.push(node);
    await node.write(options);
    await node.join(this.#imageFiles);
    return node;
  }

  #node(number: number): ClusterNode {
    return new ClusterNode(number, {
      placesFolder: placesFolder(this.folder),
      endingFile: endingFile(this.folder),
      bridge: this.controlPlane.place,
      cgroup: this.#state.cgroup,
      authority: this.#access.authority,
      programs: this.#state.programs,
    });
  }

  #writeImages(): void {
    const images = ownImages(this.#state.programs.own);
    for (const [at, image] of images.entries()) writeImageArchive(image, this.#imageFiles[at] ?? '');
  }

  get #imageFiles(): string[] {
    return ownImages(this.#state.programs.own).map((_, at) => join(this.folder, `images/${at}.tar`));
  }

  async #applyAddons(): Promise<void> {
    for (const object of [storageClassObject(), ...dnsObjects()]) await this.apply(object);
    for (const node of this.nodes) {
      const names = [`${node.name}-a`, `${node.name}-b`];
      await this.addVolumes(
        node,
        names.map((name) => ({ name, size: '2Gi' })),
      );
    }
  }
}

interface NodeObject extends KubeObject {
  status: { conditions?: { type: string; status: string; message: string }[] };
}

/** The control plane of the cluster in a folder. */
export function controlPlaneOf(folder: string, programs: Programs): ClusterControlPlane {
  return new ClusterControlPlane(placeOf(folder, 'control-plane'), programs);
}

function placeOf(folder: string, name: string): Place {
  const path = systemPath;
  return new Place(name, { folder: join(placesFolder(folder), name), path, endingFile: endingFile(folder) });
}
