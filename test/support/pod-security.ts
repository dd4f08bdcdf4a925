/** Which pods Pod Security admits at level `restricted`. */
import type { KubeObject } from '../kubernetes/api-request.ts';
import type { ControlPlane } from './control-plane.ts';
import type { Live } from './operator-world.ts';

const level = 'restricted';

/**
 * Has the API server admit a pod of every workload (Deployment, Job) among `objects` into a namespace that enforces the level; stores none.
 * Returns the workloads' names, sorted; throws what the API server says of the first that it refuses.
 */
export async function assertRestricted(
  plane: ControlPlane,
  objects: readonly KubeObject[],
): Promise<string[]> {
  const labels = { 'pod-security.kubernetes.io/enforce': level };
  await plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: level, labels } });
  const workloads = objects.filter(({ kind }) => ['Deployment', 'Job'].includes(kind)) as Live[];
  const names: string[] = [];
  for (const { metadata, spec } of workloads) {
    const { serviceAccountName, priorityClassName: _, ...pod } = spec.template.spec;
    await plane.apply({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: serviceAccountName, namespace: level },
    });
    await plane.adminFetch(`/api/v1/namespaces/${level}/pods?dryRun=All&fieldValidation=Strict`, {
      method: 'POST',
      body: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { ...spec.template.metadata, name: metadata.name },
        spec: { ...pod, serviceAccountName },
      },
    });
    names.push(metadata.name);
  }
  return names.sort();
}
