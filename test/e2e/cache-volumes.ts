/** The volumes of a mirror's replicas, as folders on this machine. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { treeOf } from '../support/node-world/tree.ts';
import type { InstalledCluster } from './installed-cluster.ts';

export interface ClaimObject extends KubeObject {
  readonly spec: {
    readonly volumeName?: string;
    readonly resources?: { readonly requests?: { readonly storage?: string } };
  };
}

interface VolumeObject extends KubeObject {
  readonly spec: { readonly local: { readonly path: string } };
}

export async function claimsOf(cluster: Cluster, mirror: string): Promise<ClaimObject[]> {
  const query = new URLSearchParams({ labelSelector: `mirror=${mirror}` });
  const path = `/api/v1/namespaces/default/persistentvolumeclaims?${query}`;
  return (await cluster.adminFetch<{ items: ClaimObject[] }>(path)).items;
}

/**
 * Gives the claims of a mirror what they ask for, as the resizer of a CSI driver does for volumes that need nothing of their node: volume
 * first, then the claim's status.
 */
export async function expandVolumes(world: InstalledCluster, mirror: string): Promise<void> {
  for (const { metadata, spec } of await claimsOf(world.cluster, mirror)) {
    const capacity = spec.resources?.requests;
    await world.patch(`/api/v1/persistentvolumes/${spec.volumeName}`, { spec: { capacity } });
    const claim = `/api/v1/namespaces/${metadata.namespace}/persistentvolumeclaims/${metadata.name}`;
    await world.patch(`${claim}/status`, { status: { capacity } });
  }
}

export async function volumeFolders(cluster: Cluster, mirror: string): Promise<string[]> {
  const claims = await claimsOf(cluster, mirror);
  return await Promise.all(
    claims.map(async ({ spec }) => {
      const volume = await cluster.adminFetch<VolumeObject>(`/api/v1/persistentvolumes/${spec.volumeName}`);
      const { path } = volume.spec.local;
      const node = cluster.nodes.find((each) => existsSync(each.path(path)));
      assert.ok(node);
      return node.path(path);
    }),
  );
}

/** The paths of all files in a folder. */
export function cachedFiles(folder: string): string[] {
  const found = Object.entries(treeOf(folder)).filter(([, what]) => what.startsWith('file'));
  return found.map(([path]) => join(folder, path));
}
