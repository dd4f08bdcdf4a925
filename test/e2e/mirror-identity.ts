/** What of a mirror's objects tells whether they are still the same ones. */
import type { Cluster } from '../cluster/cluster.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { pathsOf } from '../support/operator-world.ts';
import { type ClaimObject, claimsOf } from './cache-volumes.ts';

interface ServiceObject extends KubeObject {
  readonly spec?: { readonly clusterIP?: string };
}

/** Which objects they are, with the Services' addresses and the claims' volumes; by path, or a claim's name. */
export async function identitiesOf(cluster: Cluster, mirror: string): Promise<Record<string, unknown>> {
  const { service, headlessService, statefulSet, daemonSet, configSecret } = pathsOf(mirror);
  const objects = await Promise.all(
    [service, headlessService, statefulSet, daemonSet, configSecret].map(async (path) => {
      const { metadata, spec } = await cluster.adminFetch<ServiceObject>(path);
      return [path, [metadata.uid, spec?.clusterIP]];
    }),
  );
  const claimed = ({ metadata, spec }: ClaimObject) => [metadata.name, [metadata.uid, spec.volumeName]];
  return Object.fromEntries([...objects, ...(await claimsOf(cluster, mirror)).map(claimed)]);
}

/** How many templates the pods of each kind have had. */
export async function revisionsOf(
  cluster: Cluster,
  mirror: string,
): Promise<{ statefulSet: number; daemonSet: number }> {
  const path = '/apis/apps/v1/namespaces/default/controllerrevisions';
  const { items } = await cluster.adminFetch<{ items: KubeObject[] }>(path);
  const owners = items.map(({ metadata }) => (metadata['ownerReferences'] as { name: string }[])[0]?.name);
  const count = (owner: string) => owners.filter((each) => each === owner).length;
  const base = `registry-mirror-${mirror}`;
  return { statefulSet: count(base), daemonSet: count(`${base}-utils`) };
}
