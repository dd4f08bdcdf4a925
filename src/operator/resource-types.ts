/** The types of object the operator reads and writes. */
import type { ResourceType } from '../kube/resource-type.ts';

export { configMaps, imageMaps, registryMirrors } from '../rewriting/resource-types.ts';

export const services = core('services', 'Service');
export const secrets = core('secrets', 'Secret');
export const pods = core('pods', 'Pod');
export const persistentVolumeClaims = core('persistentvolumeclaims', 'PersistentVolumeClaim');
export const statefulSets = namespaced('apps', 'v1', 'statefulsets', 'StatefulSet');
export const daemonSets = namespaced('apps', 'v1', 'daemonsets', 'DaemonSet');
export const podDisruptionBudgets = namespaced('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget');
export const endpointSlices = namespaced('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice');
export const certificates = namespaced('cert-manager.io', 'v1', 'certificates', 'Certificate');
export const issuers = namespaced('cert-manager.io', 'v1', 'issuers', 'Issuer');
export const nodes: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'nodes',
  kind: 'Node',
  namespaced: false,
};
export const mutatingWebhookConfigurations: ResourceType = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: 'mutatingwebhookconfigurations',
  kind: 'MutatingWebhookConfiguration',
  namespaced: false,
};
export const clusterRoles: ResourceType = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural: 'clusterroles',
  kind: 'ClusterRole',
  namespaced: false,
};
export const priorityClasses: ResourceType = {
  group: 'scheduling.k8s.io',
  version: 'v1',
  plural: 'priorityclasses',
  kind: 'PriorityClass',
  namespaced: false,
};
export const storageClasses: ResourceType = {
  group: 'storage.k8s.io',
  version: 'v1',
  plural: 'storageclasses',
  kind: 'StorageClass',
  namespaced: false,
};

function core(plural: string, kindName: string): ResourceType {
  return namespaced('', 'v1', plural, kindName);
}

function namespaced(groupName: string, versionName: string, plural: string, kindName: string): ResourceType {
  return { group: groupName, version: versionName, plural, kind: kindName, namespaced: true };
}
