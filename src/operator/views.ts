/** What the operator sees of the cluster: one view per type, each a store with our own last writes on top. */
import type { KubeObject } from '../kube/object.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import type { LiveView } from './live-view.ts';
import {
  certificates,
  daemonSets,
  persistentVolumeClaims,
  podDisruptionBudgets,
  registryMirrors,
  secrets,
  services,
  statefulSets,
} from './resource-types.ts';

/** The types that are watched in every installation, and cert-manager's in scheme `services`. */
export interface Views {
  readonly mirrors: LiveView;
  readonly services: LiveView;
  readonly secrets: LiveView;
  readonly statefulSets: LiveView;
  readonly daemonSets: LiveView;
  readonly disruptionBudgets: LiveView;
  readonly claims: LiveView;
  /** Of the headless Services: where the cache replicas are. */
  readonly endpointSlices: LiveView;
  readonly configMaps?: LiveView;
  /** The ConfigMap of CA_CERTIFICATE_BUNDLE, where that is set. */
  readonly caBundle?: LiveView;
  readonly certificates?: LiveView;
  readonly issuers?: LiveView;
  /** Where images are rewritten. */
  readonly webhookConfigurations?: LiveView;
}

/** Index of mirrors: the host of their masquerade name. */
export const masqueradeIndex = 'masquerade';
/** Index of mirrors: the Secret with their credentials. */
export const credentialsIndex = 'credentials';
/** Index of owned objects: the mirror they belong to. */
export const mirrorIndex = 'mirror';

/** The resource type of an object we write, and the view that shows it. */
export interface Home {
  readonly type: ResourceType;
  /** Undefined: it is not watched in this installation. */
  readonly view: LiveView | undefined;
}

/** Where objects of mirrors are at home. Throws `TypeError` for any other kind. */
export function homeOf(object: Pick<KubeObject, 'kind'>, views: Views): Home {
  switch (object.kind) {
    case 'RegistryMirror':
      return { type: registryMirrors, view: views.mirrors };
    case 'Service':
      return { type: services, view: views.services };
    case 'Secret':
      return { type: secrets, view: views.secrets };
    case 'StatefulSet':
      return { type: statefulSets, view: views.statefulSets };
    case 'DaemonSet':
      return { type: daemonSets, view: views.daemonSets };
    case 'PodDisruptionBudget':
      return { type: podDisruptionBudgets, view: views.disruptionBudgets };
    case 'PersistentVolumeClaim':
      return { type: persistentVolumeClaims, view: views.claims };
    case 'Certificate':
      return { type: certificates, view: views.certificates };
    default:
      throw new TypeError(`This operator writes no ${object.kind}`);
  }
}
