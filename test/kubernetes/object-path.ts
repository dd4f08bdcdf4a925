/** Finds the URL path of an object from its kind, as kubectl does. */
import type { KubeObject } from './api-request.ts';

interface ResourceList {
  resources: Array<{ name: string; kind: string; namespaced: boolean }>;
}

/** Returns the path of an object; `get` reads the group version's resources. Throws when the kind is not served. */
export async function objectPath(
  object: KubeObject,
  get: (path: string) => Promise<ResourceList>,
): Promise<string> {
  const { apiVersion, kind, metadata } = object;
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { resources } = await get(root);
  const resource = resources.find((candidate) => candidate.kind === kind && !candidate.name.includes('/'));
  if (!resource) throw new Error(`${kind} is not served in ${apiVersion}`);
  const namespace = resource.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
  return `${root}${namespace}/${resource.name}/${metadata.name}`;
}
