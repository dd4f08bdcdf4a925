/** The StatefulSet of a mirror: cache pods of nginx and broker. */
import { basename, dirname } from 'node:path';
import { credentialSecrets } from '../api/access.ts';
import { claimSize } from '../api/cache-size.ts';
import { cachePodLabels, objectNames, selectorLabels } from '../api/names.ts';
import type { RegistryMirror, ResourceRequirements, Toleration } from '../api/registry-mirror.ts';
import { parseUpstream } from '../api/upstream.ts';
import { ports } from '../cache/ports.ts';
import { claimTemplate } from './claim-template.ts';
import {
  type KubernetesObject,
  type MetadataView,
  type MirrorInput,
  metadataView,
  objectFrom,
  podLabels,
} from './object.ts';

/** What decides over the cache pods beside the mirror and the settings. */
export interface CacheOptions {
  /** Those of the live StatefulSet, sent back as they are: they cannot change, a difference refuses the whole set. Empty: its pods have no claim. */
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
  readonly ports: typeof ports;
  /** Volumes, one for each Secret, and where in the broker's container they are: a folder for each prefix. */
  readonly credentials: {
    readonly volumes: readonly { readonly name: string; readonly secret: string }[];
    readonly mounts: readonly { readonly name: string; readonly mountPath: string }[];
  };
  readonly upstreamCa: string | null;
  readonly mirrorCa: { readonly name: string; readonly key: string } | null;
  /** The cache lies on the node. */
  readonly ephemeral: { readonly sizeLimit: string | number } | null;
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
  return {
    metadata: metadataView(input, names.statefulSet, settings.labels),
    replicas: spec.replicas,
    serviceName: names.headlessService,
    selector: selectorLabels(mirror.metadata.name),
    retention: spec.persistentVolumeClaimRetentionPolicy ?? { whenDeleted: 'Retain', whenScaled: 'Retain' },
    podLabels: podLabels(settings, cachePodLabels(mirror.metadata.name)),
    nginx: { image: settings.images.nginx, resources: spec.resources ?? defaultNginx },
    broker: { image: settings.images.operator, resources: brokerResources(mirror) },
    configSecret: names.configSecret,
    leafSecret: names.leafSecret,
    ports,
    credentials: credentialsVolumes(mirror),
    upstreamCa: settings.caCertificateBundle ?? null,
    mirrorCa: spec.upstreamCA ?? null,
    ...scheduling(input),
    ...volumes(mirror, options),
  };
}

const credentialsRoot = '/etc/registry-mirror/credentials';
const prefixedRoot = '/etc/registry-mirror/prefixed-credentials';

/** What a folder of credentials is for: the repositories of `registry` (`host[:port]`) below `prefix`. */
interface CredentialsPlace {
  readonly prefix: string;
  readonly registry: string;
}

/**
 * Folder of these credentials in the broker's container. Named by what they are for, not by the Secret: pods that are still to be replaced go on
 * with the Secret they have, and have none for another registry.
 */
function credentialsFolder({ prefix, registry }: CredentialsPlace): string {
  // A prefix holds no tilde, nor does a host; no colon may be in the path of a mount; and one folder must not lie in another.
  const root = prefix === '' ? credentialsRoot : `${prefixedRoot}/${prefix.replaceAll('/', '~')}`;
  return `${root}/${registry.replaceAll(':', '~')}`;
}

/** The Secrets of a mirror's credentials, and in which folder each lies for the broker. */
export function credentialsFolders(mirror: RegistryMirror) {
  const { host: registry } = parseUpstream(mirror.spec.upstreamUrl);
  return credentialSecrets(mirror).map(({ prefix, secret }) => {
    return { prefix, secret, dir: credentialsFolder({ prefix, registry }) };
  });
}

/** What `folder` is for; undefined if it is no folder of credentials. */
export function placeOfFolder(folder: string): CredentialsPlace | undefined {
  const [root, name = ''] = [dirname(folder), basename(folder)];
  const registry = name.replaceAll('~', ':');
  if (root === credentialsRoot) return { prefix: '', registry };
  if (dirname(root) !== prefixedRoot) return undefined;
  return { prefix: basename(root).replaceAll('~', '/'), registry };
}

/** Volumes are numbered, because names of Secrets can be longer than theirs. */
function credentialsVolumes(mirror: RegistryMirror): StatefulSetView['credentials'] {
  const entries = credentialsFolders(mirror);
  const secrets = [...new Set(entries.map(({ secret }) => secret))].sort();
  const volume = (secret: string) => `credentials-${secrets.indexOf(secret)}`;
  return {
    volumes: secrets.map((secret) => ({ name: volume(secret), secret })),
    mounts: entries.map(({ secret, dir }) => ({ name: volume(secret), mountPath: dir })),
  };
}

/** Each process is a Node of its own. */
function brokerResources({ spec: { broker } }: RegistryMirror): ResourceRequirements {
  const processes = broker?.processes ?? 1;
  const requests = { cpu: `${50 * processes}m`, memory: `${128 * processes}Mi` };
  return broker?.resources ?? { requests };
}

/** A set that exists is what it was made as. */
function volumes(
  mirror: RegistryMirror,
  { volumeClaimTemplates }: CacheOptions,
): Pick<StatefulSetView, 'ephemeral' | 'volumeClaimTemplates'> {
  const templates =
    volumeClaimTemplates ?? (mirror.spec.storage === 'ephemeral' ? [] : [claimTemplate(mirror)]);
  const ephemeral = templates.length > 0 ? null : { sizeLimit: claimSize(mirror) };
  return { ephemeral, volumeClaimTemplates: templates };
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
  const matchLabels = cachePodLabels(name);
  return topologies.map((topologyKey) => ({ topologyKey, matchLabels }));
}
