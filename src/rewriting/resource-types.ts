/** The types of object that rules are made from. */
import { imageMapKind } from '../api/image-map-kind.ts';
import { group, kind, version } from '../api/kind.ts';
import type { ResourceType } from '../kube/resource-type.ts';

export const registryMirrors: ResourceType = {
  group,
  version,
  plural: 'registrymirrors',
  kind,
  namespaced: false,
};
export const imageMaps: ResourceType = imageMapKind;
export const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
export const namespaces: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};
