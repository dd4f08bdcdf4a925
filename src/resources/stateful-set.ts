/** The StatefulSet of a mirror: cache pods of nginx and broker. */
import { componentLabel, components, objectNames, selectorLabels } from '../api/names.ts';
import type { ResourceRequirements, Toleration } from '../api/registry-mirror.ts';
import { claimTemplate } from './claim-template.ts';
import {
  type KubernetesObject,
  type MetadataView,
  type MirrorInput,
  metadataView,
  objectFrom,
} from './object.ts';

/** What decides over the cache pods beside the mirror and the settings. */
export interface CacheOptions {
  /** Those of the live StatefulSet, sent back as they are: they cannot change, a difference refuses the whole set. */
  readonly volumeClaimTemplates?: readonly unknown[];
}

/** What `stateful-set.yaml` prints; `null` where something is absent. */
export interface StatefulSetView {
  readonly metadata: MetadataView;
  readonly replicas: number;
  readonly serviceName: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly retention: { readonly whenDeleted: string; readonly whenScaled: string };
  readonly podLabels: Readonly<Record<string, string>>;
  readonly nginx: { readonly image: string; readonly resources: ResourceRequirements };
  readonly broker: { readonly image: string; readonly resources: ResourceRequirements };
  readonly configSecret: string;
  readonly leafSecret: string;
  readonly credentialsSecret: string | null;
  readonly upstreamCa: string | null;
  readonly priorityClass: string | null;
  readonly imagePullSecrets: readonly { readonly name: string }[];
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly affinity: object | null;
  /** Over what the replicas are spread; empty where the user gives an affinity. */
  readonly spread: readonly { readonly topologyKey: string; readonly matchLabels: object }[];
  readonly tolerations: readonly Toleration[];
  readonly volumeClaimTemplates: readonly unknown[];
}

const defaultNginx: ResourceRequirements = { requests: { cpu: '100m', memory: '256Mi' } };
const defaultBroker: ResourceRequirements = { requests: { cpu: '50m', memory: '128Mi' } };
const topologies = ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'];

/** The StatefulSet; certificates, credentials and configuration are mounted and followed, so their change restarts nothing. */
export function cacheStatefulSet(input: MirrorInput, options: CacheOptions = {}): KubernetesObject {
  return objectFrom('stateful-set.yaml', statefulSetView(input, options));
}

/** The view of the StatefulSet. */
export function statefulSetView(input: MirrorInput, options: CacheOptions): StatefulSetView {
  const { mirror, settings } = input;
  const { spec } = mirror;
  const names = objectNames(mirror.metadata.name);
  const selector = selectorLabels(mirror.metadata.name);
  return {
    metadata: metadataView(input, names.statefulSet, settings.labels),
    replicas: spec.replicas,
    serviceName: names.headlessService,
    selector,
    retention: spec.persistentVolumeClaimRetentionPolicy ?? { whenDeleted: 'Retain', whenScaled: 'Retain' },
    podLabels: { ...settings.templateLabels, ...selector, [componentLabel]: components.cache },
    nginx: { image: settings.images.nginx, resources: spec.resources ?? defaultNginx },
    broker: { image: settings.images.operator, resources: spec.broker?.resources ?? defaultBroker },
    configSecret: names.configSecret,
    leafSecret: names.leafSecret,
    credentialsSecret: spec.credentialsSecret ?? null,
    upstreamCa: settings.caCertificateBundle ?? null,
    ...scheduling(input),
    volumeClaimTemplates: options.volumeClaimTemplates ?? [claimTemplate(mirror)],
  };
}

function scheduling({ mirror: { metadata, spec }, settings }: MirrorInput) {
  return {
    priorityClass: spec.priorityClass ?? null,
    imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })),
    nodeSelector: { 'kubernetes.io/os': 'linux', ...spec.nodeSelector },
    affinity: spec.affinity ?? null,
    spread: spec.affinity === undefined ? spread(metadata.name) : [],
    tolerations: [...settings.tolerations, ...(spec.tolerations ?? [])],
  };
}

function spread(name: string): StatefulSetView['spread'] {
  const matchLabels = { ...selectorLabels(name), [componentLabel]: components.cache };
  return topologies.map((topologyKey) => ({ topologyKey, matchLabels }));
}
