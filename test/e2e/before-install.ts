/** What nodes and cluster were before an install, and whether they are so again. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import type { Cluster } from '../cluster/cluster.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { eventually } from '../support/eventually.ts';
import { differences, treeOf } from '../support/node-world/tree.ts';
import { objectsOf } from './cluster-objects.ts';

const journal = '/var/lib/registry-mirror-operator';
/** Folders of which the names alone are looked at: what lies deeper is the kubelet's, containerd's and the volumes'. */
const named = ['/var/lib', '/var/log', '/var/cache', '/opt', '/root', '/home'];
/** Kept when an operator in `default` is gone: volumes, and what its user made for it. */
const kept = ['/api/v1/persistentvolumeclaims default/', '/api/v1/configmaps default/internet-ca'];

export class BeforeInstall {
  readonly #cluster: Cluster;
  readonly #nodes: Listing[];
  readonly #objects: Listing;

  private constructor(cluster: Cluster, objects: Listing) {
    this.#cluster = cluster;
    this.#nodes = cluster.nodes.map(nodeListing);
    this.#objects = objects;
  }

  static async of(cluster: Cluster): Promise<BeforeInstall> {
    return new BeforeInstall(cluster, await objectsOf(cluster));
  }

  /** Each node was changed: there is something to take back. */
  assertWired(t: ExecutionContext): void {
    for (const [at, node] of this.#cluster.nodes.entries()) {
      t.true('hosts' in this.#changesOf(node, at), node.name);
      t.true(existsSync(node.path(journal)), `${node.name}: the journal`);
    }
  }

  assertNodesAsBefore(t: ExecutionContext): void {
    for (const [at, node] of this.#cluster.nodes.entries())
      t.deepEqual(this.#changesOf(node, at), {}, node.name);
  }

  /** The paths, below /etc, that are not as they were on a node; and names of other folders. */
  changedOn(node: ClusterNode): string[] {
    return Object.keys(this.#changesOf(node, this.#cluster.nodes.indexOf(node))).sort();
  }

  /** Nodes at once, the cluster's objects after a while; nothing is left Terminating. */
  async assertAsBefore(t: ExecutionContext): Promise<void> {
    this.assertNodesAsBefore(t);
    await eventually(
      async () =>
        assert.deepEqual(differences(this.#objects, withoutKept(await objectsOf(this.#cluster))), {}),
      { timeout: 90_000, interval: 500, message: 'Objects were not as before' },
    );
    t.pass();
  }

  #changesOf(node: ClusterNode, at: number) {
    return differences(this.#nodes[at] ?? {}, nodeListing(node));
  }
}

/** What is there, by path or name. */
type Listing = Readonly<Record<string, string>>;

function nodeListing(node: ClusterNode): Listing {
  const names = named.map((folder) => [folder, readdirSync(node.path(folder)).sort().join(' ')]);
  return { ...treeOf(node.path('/etc')), ...Object.fromEntries(names) };
}

function withoutKept(objects: Listing): Listing {
  const left = Object.entries(objects).filter(([key]) => !kept.some((each) => key.startsWith(each)));
  return Object.fromEntries(left);
}
