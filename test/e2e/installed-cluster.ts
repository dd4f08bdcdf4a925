/**
 * A cluster of two nodes on which the operator is installed from deploy/, in an internet of registries that its nodes trust: where the
 * scenarios of this folder happen.
 */
import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Condition } from '../../src/api/schema-parts.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ClusterNode } from '../cluster/node.ts';
import type { PodObject } from '../cluster/pods.ts';
import { findPrograms } from '../cluster/programs.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { startUpstream, type Upstream, type UpstreamRequest } from '../cluster/upstream.ts';
import { ownImageArchive } from '../image/program.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { makeAuthority, type TestAuthority } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { type Image, makeImage } from '../support/images.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import { clusterFolder } from './folder.ts';
import { forgetImage } from './forget-image.ts';
import { deploymentOf, usualReplicas, type Workload } from './workload.ts';

export interface InstallOptions {
  /** Of the cluster's folder. */
  readonly name: string;
  /** What registries there are, as their hosts are called. */
  readonly upstreams: readonly string[];
  /** Of deploy/components. */
  readonly components?: readonly string[];
  /** Volumes on each node beside the two it begins with. */
  readonly volumes?: number;
  /** Whether nodes enforce NetworkPolicies; they do not. */
  readonly networkPolicies?: boolean;
  /** False: the operator is left to the test. */
  readonly install?: boolean;
}

export interface MirrorObject extends KubeObject {
  readonly spec: Record<string, unknown>;
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly nodes?: string;
    readonly nodePort?: number;
    readonly address?: string;
  };
}

export const operatorLabels = 'app.kubernetes.io/name=registry-mirror-operator';
export const webhookLabels = 'app.kubernetes.io/name=registry-rewrite-webhook';
export const cacheLabels = 'component=registry';

/** Makes it; whatever it throws, no cluster is left. */
export async function installedCluster(options: InstallOptions): Promise<InstalledCluster> {
  const { name, volumes = 0, networkPolicies = false, install = true } = options;
  const archive = await ownImageArchive();
  const { own } = await findPrograms();
  const cluster = await startCluster({ folder: clusterFolder(name), networkPolicies });
  try {
    const authority = await makeAuthority(
      join(cluster.internet.place.folder, 'tls'),
      'authority of the internet',
    );
    const world = new InstalledCluster(cluster, authority, join(own, 'pause'));
    for (const host of options.upstreams) await world.addUpstream(host);
    for (const node of cluster.nodes) await world.prepareNode(node, volumes);
    copyFileSync(archive, world.imageArchive);
    await cluster.importImage(world.imageArchive);
    if (install) await world.install(options.components);
    return world;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

export class InstalledCluster {
  readonly cluster: Cluster;
  readonly authority: TestAuthority;
  /** How long the operators took to be Ready, in seconds. */
  installSeconds = 0;
  /** Our image, which every node has to know before pods of ours run there; a copy, since a later build removes the other. */
  readonly imageArchive: string;
  readonly #upstreams = new Map<string, Upstream>();
  readonly #names: Record<string, string> = {};
  readonly #program: string;

  constructor(cluster: Cluster, authority: TestAuthority, program: string) {
    this.cluster = cluster;
    this.authority = authority;
    this.#program = program;
    this.imageArchive = join(cluster.folder, 'own-image.tar');
  }

  /** Installs deploy/base with components, which put it into `namespace`, and waits for two operators. */
  async install(components: readonly string[] = [], namespace = 'default'): Promise<void> {
    const began = Date.now();
    for (const object of await kustomizeBuild(components)) await eventually(() => this.cluster.apply(object));
    await this.cluster.apply(this.authorityObject(namespace));
    await this.untilOperatorsRun(namespace);
    this.installSeconds = (Date.now() - began) / 1000;
  }

  async untilOperatorsRun(namespace = 'default'): Promise<void> {
    await this.cluster.pods.waitFor({ namespace, labels: operatorLabels, count: 2 });
  }

  /** What mirrors trust the internet by: in the operator's namespace. */
  authorityObject(namespace = 'default'): KubeObject {
    const data = { 'ca.crt': this.authority.certificatePem };
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'internet-ca', namespace }, data };
  }

  /** A registry in the internet, known to its DNS. */
  async addUpstream(host: string): Promise<Upstream> {
    const address = this.freeAddress();
    const upstream = await startUpstream(this.cluster.internet, {
      name: host,
      address,
      authority: this.authority,
    });
    this.setName(host, address);
    this.#upstreams.set(host, upstream);
    return upstream;
  }

  upstream(host: string): Upstream {
    const upstream = this.#upstreams.get(host);
    if (upstream === undefined) throw new Error(`There is no upstream ${host}`);
    return upstream;
  }

  /** Of the internet's range, for one more server. */
  freeAddress(): string {
    return `192.88.99.${10 + Object.keys(this.#names).length}`;
  }

  setName(host: string, address: string): void {
    this.#names[host] = address;
    this.cluster.internet.setNames(this.#names);
  }

  /** The node trusts the internet's authority, and has more volumes. */
  async prepareNode(node: ClusterNode, volumes = 0): Promise<void> {
    appendFileSync(node.path('/etc/ssl/certs/ca-certificates.crt'), this.authority.certificatePem);
    await node.restartDaemon('containerd');
    const names = Array.from({ length: volumes }, (_, at) => `${node.name}-more-${at}`);
    await this.cluster.addVolumes(
      node,
      names.map((name) => ({ name, size: '2Gi' })),
    );
  }

  /** Makes an image that runs and pushes it; `size` in bytes, of its one large layer. */
  async push(
    host: string,
    repository: string,
    { tag = '1', size = 1_000_000, seed = '' } = {},
  ): Promise<Image> {
    const all = { tag, seed: `${host} ${repository} ${seed}`, layerSizes: [size] };
    const image = makeImage({ ...all, program: this.#program });
    await this.upstream(host).push(repository, image);
    return image;
  }

  /** Applies a RegistryMirror that trusts the internet's authority and has a small volume. */
  async mirror(name: string, spec: Record<string, unknown>): Promise<MirrorObject> {
    return await eventually(
      () =>
        this.cluster.apply<MirrorObject>({
          apiVersion: 'k8s.osp.tech/v1',
          kind: 'RegistryMirror',
          metadata: { name },
          spec: {
            upstreamCA: { name: 'internet-ca' },
            volumeClaimTemplate: { spec: { resources: { requests: { storage: '1Gi' } } } },
            ...spec,
          },
        }),
      { timeout: 20_000 },
    );
  }

  async getMirror(name: string): Promise<MirrorObject> {
    return await this.cluster.adminFetch<MirrorObject>(mirrorPath(name));
  }

  /** Changes a mirror by a JSON merge patch. */
  async patchMirror(name: string, patch: object): Promise<MirrorObject> {
    return await this.patch<MirrorObject>(mirrorPath(name), patch);
  }

  /** Changes any object by a JSON merge patch. */
  async patch<T = KubeObject>(path: string, body: object): Promise<T> {
    const contentType = 'application/merge-patch+json';
    return await this.cluster.adminFetch<T>(path, { method: 'PATCH', contentType, body });
  }

  /** The two cache pods of the one mirror there is, Ready. */
  async caches(): Promise<PodObject[]> {
    return await this.cluster.pods.waitFor({ labels: cacheLabels, count: 2 });
  }

  /** Until the mirror serves and all its nodes' pulls reach it. */
  async untilServing(...names: string[]): Promise<void> {
    for (const name of names)
      for (const type of ['Ready', 'NodesWired']) await this.untilCondition(name, type, 'True', 120_000);
  }

  /** Until a condition has that status; returns it. */
  async untilCondition(name: string, type: string, status: string, timeout = 90_000): Promise<Condition> {
    return await eventually(
      async () => {
        const conditions = (await this.getMirror(name)).status?.conditions ?? [];
        const found = conditions.find((each) => each.type === type);
        if (found?.status === status) return found;
        throw new Error(JSON.stringify(conditions, null, 1));
      },
      { timeout, interval: 200, message: `${type} of mirror ${name} was not ${status}` },
    );
  }

  /** Until every replica has the spec as it is now, as `kubectl wait --for=condition=Reconciling=false` waits. Kubelets take up to 95 s. */
  async untilReconciled(name: string): Promise<void> {
    await eventually(
      async () => {
        const { metadata, status } = await this.getMirror(name);
        const found = status?.conditions?.find(({ type }) => type === 'Reconciling');
        assert.deepEqual(
          [found?.status, found?.observedGeneration],
          ['False', metadata.generation],
          found?.message ?? 'it has no such condition',
        );
      },
      { timeout: 150_000, interval: 200, message: `Mirror ${name} was not reconciled` },
    );
  }

  async untilNoMirrors(): Promise<void> {
    await eventually(
      async () => {
        const { items } = await this.cluster.adminFetch<{ items: MirrorObject[] }>(mirrorPath(''));
        if (items.length > 0) throw new Error(JSON.stringify(items));
      },
      { timeout: 90_000, interval: 200, message: 'Mirrors were still there' },
    );
  }

  /** Makes a Deployment and returns at once. */
  async deploy(name: string, workload: Workload): Promise<void> {
    await this.cluster.apply(deploymentOf(name, workload));
  }

  /** Makes a Deployment and waits until all its pods run; returns them. */
  async rollOut(name: string, workload: Workload, timeout = 60_000): Promise<PodObject[]> {
    const { namespace = 'default', replicas = usualReplicas } = workload;
    await this.deploy(name, workload);
    return await this.cluster.pods.waitFor({ namespace, labels: `app=${name}`, count: replicas }, timeout);
  }

  /** Waits until a pod of the Deployment says that its image cannot be pulled; returns what it says. */
  async untilPullFails(name: string, namespace = 'default', timeout = 60_000): Promise<string> {
    return await eventually(
      async () => {
        const [pod] = await this.cluster.pods.list({ namespace, labels: `app=${name}` });
        const waiting = pod?.status.containerStatuses?.[0]?.state as WaitingState | undefined;
        const { reason = '', message = '' } = waiting?.waiting ?? {};
        if (['ErrImagePull', 'ImagePullBackOff'].includes(reason)) return message;
        throw new Error(JSON.stringify(pod?.status));
      },
      { timeout, interval: 200, message: `The image of ${name} could be pulled` },
    );
  }

  /** Removes a Deployment and waits until its pods are gone. */
  async remove(name: string, namespace = 'default'): Promise<void> {
    await this.cluster.adminFetch(`/apis/apps/v1/namespaces/${namespace}/deployments/${name}`, {
      method: 'DELETE',
    });
    await this.cluster.pods.waitFor({ namespace, labels: `app=${name}`, count: 0 });
  }

  /** Makes nodes forget all images of a repository, by its whole name, so that the next pull is one. */
  async forget(repository: string, nodes: readonly ClusterNode[] = this.cluster.nodes): Promise<void> {
    for (const node of nodes) await forgetImage(node, repository);
  }

  /** Requests for blobs that a registry answered with content, from a moment on (see `mark`). */
  blobRequests(host: string, since = 0): UpstreamRequest[] {
    return this.upstream(host)
      .requests()
      .slice(since)
      .filter(({ method, path, status }) => method === 'GET' && path.includes('/blobs/') && status < 300);
  }

  /** What nodes themselves asked a registry, past the mirror, from a moment on. */
  directRequests(host: string, since = 0): UpstreamRequest[] {
    return this.upstream(host).requests().slice(since).filter(isOfNode);
  }

  /** How many requests a registry has been asked by now. */
  mark(host: string): number {
    return this.upstream(host).requests().length;
  }

  /** What `kubectl get rm` shows, a record for each mirror by the columns' names. */
  async table(): Promise<Record<string, unknown>[]> {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const { columnDefinitions, rows } = await this.cluster.adminFetch<TableObject>(mirrorPath(''), {
      headers: { accept },
    });
    return rows.map(({ cells }) =>
      Object.fromEntries(columnDefinitions.map(({ name }, at) => [name, cells[at]])),
    );
  }
}

/** Bytes of all blobs. */
export function sizeOf({ blobs }: Image): number {
  return blobs.reduce((sum, { content }) => sum + content.length, 0);
}

export function bytesOf(requests: readonly UpstreamRequest[]): number {
  return requests.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Whether a node's containerd asked, not one of our caches. */
export function isOfNode({ agent }: UpstreamRequest): boolean {
  return agent.startsWith('containerd');
}

export function mirrorPath(name: string): string {
  return `/apis/k8s.osp.tech/v1/registrymirrors/${name}`.replace(/\/$/, '');
}

/** What a container waits for. */
interface WaitingState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
}

interface TableObject {
  readonly columnDefinitions: readonly { readonly name: string }[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
}
