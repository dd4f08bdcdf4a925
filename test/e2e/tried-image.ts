/** Which image a pod gets: asked of the API server, which keeps nothing of it. */
import type { Cluster } from '../cluster/cluster.ts';

export async function triedImage(
  cluster: Cluster,
  image: string,
  namespace = 'default',
): Promise<string | undefined> {
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'tried' },
    spec: { containers: [{ name: 'app', image }] },
  };
  const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All`;
  const { spec } = await cluster.adminFetch<typeof body>(path, { method: 'POST', body });
  return spec.containers[0]?.image;
}
