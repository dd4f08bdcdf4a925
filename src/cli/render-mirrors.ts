/** What the operator would make of mirrors, as text, without a cluster. Pure and deterministic. */

import { credentialSecrets } from '../api/access.ts';
import { imageswapConfigMap, objectNames } from '../api/names.ts';
import { nodeWiring } from '../api/nodes.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import type { OperatorSettings } from '../api/settings.ts';
import { imageswapMap } from '../operator/imageswap-map/map.ts';
import { sizeNote } from '../operator/registry-mirror/claims.ts';
import { clientsAsked } from '../operator/registry-mirror/conditions.ts';
import { sharedByDefault } from '../operator/registry-mirror/credentials.ts';
import { type CompositionInputs, desiredObjects, dockerNames } from '../operator/registry-mirror/desired.ts';
import { choosePort, type PortClaim, portsExhausted } from '../operator/registry-mirror/node-port.ts';
import {
  masqueradeConflict,
  masqueradeHost,
  masqueradePort,
  serviceConflict,
  serviceRivals,
} from '../operator/registry-mirror/obstacles.ts';
import { nodeMirror } from '../resources/node-mirror.ts';
import type { KubernetesObject } from '../resources/object.ts';
import { type PrintedObject, printObjects } from '../resources/print.ts';
import { sharedDaemonSet, sharedNodesSecret, sharesNodes } from '../resources/shared-nodes.ts';
import { mapMirrorOf } from '../rewriting/services-mirrors.ts';
import { addressesOf, type GivenAddresses } from './given-addresses.ts';

/** YAML documents, and what a person should know of them, one line each. */
export interface Rendered {
  readonly text: string;
  readonly notes: readonly string[];
}

/** Renders all mirrors, ordered by name; in services mode also the ConfigMap that they share. */
export function renderMirrors(
  given: readonly RegistryMirror[],
  settings: OperatorSettings,
  addresses: GivenAddresses,
): Rendered {
  const ports = portsOf(given, settings);
  const placed = [...given].sort(byName).map((mirror) => {
    return {
      mirror,
      clusterIPs: addressesOf(mirror, addresses),
      nodePort: ports.get(mirror.metadata.name),
      obstacle: obstacleTo(mirror, given, settings),
    };
  });
  const parts = placed.map(({ obstacle, ...place }) =>
    obstacle === undefined
      ? renderMirror({ ...place, settings })
      : { text: '', notes: [`${place.mirror.metadata.name}: nothing is made: ${obstacle}`] },
  );
  const inForce = placed.filter(({ obstacle }) => obstacle === undefined);
  const all = [
    ...parts,
    ...(settings.addressingScheme === 'services' ? [renderMap(inForce, settings)] : []),
    ...(settings.nodeDaemonSets === 'shared' ? [renderSharedNodes(inForce, settings)] : []),
  ];
  return { text: all.map(({ text }) => text).join(''), notes: all.flatMap(({ notes }) => notes) };
}

/** By code unit: the same everywhere. */
function byName(one: RegistryMirror, other: RegistryMirror): number {
  return one.metadata.name < other.metadata.name ? -1 : 1;
}

/** What the API server takes and the operator cannot put into force. */
function obstacleTo(
  mirror: RegistryMirror,
  all: readonly RegistryMirror[],
  settings: OperatorSettings,
): string | undefined {
  if (mirror.metadata.deletionTimestamp !== undefined) return 'it is being deleted';
  const rivals = all.filter((other) => masqueradeHost(other) === masqueradeHost(mirror));
  const shared = all.filter(({ metadata }) => serviceRivals(mirror.metadata.name).includes(metadata.name));
  const obstacle =
    masqueradeConflict(mirror, rivals) ?? serviceConflict(mirror, shared) ?? masqueradePort(mirror, settings);
  return obstacle?.message;
}

interface PlacedMirror {
  readonly mirror: RegistryMirror;
  readonly clusterIPs: readonly string[];
  readonly nodePort: number | undefined;
}

const nothing: Rendered = { text: '', notes: [] };

/** Those in the status, else as in a new cluster: by name, from the second of the range on. */
function portsOf(
  mirrors: readonly RegistryMirror[],
  { nodePorts: range }: OperatorSettings,
): ReadonlyMap<string, number> {
  const claims: PortClaim[] = mirrors.flatMap(({ metadata, status }) =>
    status?.nodePort === undefined ? [] : [{ metadata, port: status.nodePort }],
  );
  for (const { metadata, status } of [...mirrors].sort(byName)) {
    if (status?.nodePort !== undefined) continue;
    const port = choosePort({ mirror: metadata, known: [], claims, range });
    if (port !== undefined) claims.push({ metadata, port });
  }
  return new Map(claims.map(({ metadata, port }) => [metadata.name, port]));
}

function renderMirror(place: PlacedMirror & { readonly settings: OperatorSettings }): Rendered {
  const inputs = compositionOf(place);
  const objects = desiredObjects(inputs).flatMap((phase) => phase.objects);
  const notes = notesOn(inputs).map((note) => `${place.mirror.metadata.name}: ${note}`);
  return { text: printObjects(objects.map(withComment)), notes };
}

/** The agents of all mirrors that do not choose their nodes. */
function renderSharedNodes(places: readonly PlacedMirror[], settings: OperatorSettings): Rendered {
  const sharing = places.filter(({ mirror }) => sharesNodes(mirror, settings));
  const listed = sharing.flatMap((place) => {
    if (place.clusterIPs.length === 0 || place.nodePort === undefined) return [];
    const inputs = compositionOf({ ...place, settings });
    const { clusterIPs, nodePort } = place;
    const told = nodeMirror(inputs, { clusterIPs, nodePort, certificateNames: dockerNames(inputs) });
    return [{ mirror: told, authorities: '' }];
  });
  const others = places.filter((place) => !sharing.includes(place)).map(({ mirror }) => mirror.metadata.name);
  const list = { listed, others, gone: [] };
  const startupTaints = sharing.flatMap(({ mirror }) => mirror.spec.nodes?.startupTaint ?? []);
  const identity = { leaf: { certificate: '', key: '', ca: '' }, authorities: '' };
  const objects = [
    sharedNodesSecret(settings, list, identity),
    sharedDaemonSet(settings, list, { authority: null, startupTaints: [...new Set(startupTaints)].sort() }),
  ];
  return { text: printObjects(objects.map(withComment)), notes: [] };
}

/** Keys and certificates are made in the cluster; here they are empty. */
function compositionOf(place: PlacedMirror & { readonly settings: OperatorSettings }): CompositionInputs {
  const { mirror, settings, clusterIPs, nodePort } = place;
  const leaf = { certificate: '', key: '', ca: '' };
  const issuer = settings.addressingScheme === 'services';
  const names = objectNames(mirror.metadata.name);
  const secret = issuer && clusterIPs.length > 0 ? names.certificateSecret : settings.certificateSecret;
  const inputs = {
    mirror,
    settings,
    clusterIPs,
    ...(nodePort !== undefined && { nodePort }),
    leaf,
    client: leaf,
    leafOptions: { authorities: '' },
    trustBundle: '',
    issuer,
  };
  if (secret === undefined) return inputs;
  const leafOptions = { authorities: '', given: { certificate: '', key: '', authority: '' } };
  return { ...inputs, leafOptions, given: { secret, names: dockerNames(inputs) } };
}

const comments: Readonly<Record<string, string>> = {
  'kubernetes.io/tls':
    'Certificates and keys are made by the operator; a given certificate is copied beside them.',
  Opaque: 'ca.crt is filled in by the operator.',
  DaemonSet: 'The annotation k8s.osp.tech/authority of the pods is filled in by the operator.',
};

function withComment(object: KubernetesObject): PrintedObject {
  const comment = comments[String(object['type'] ?? object.kind)];
  return comment === undefined ? { object } : { object, comment };
}

function notesOn(inputs: CompositionInputs): string[] {
  const { mirror, settings, clusterIPs, nodePort, given } = inputs;
  const services = settings.addressingScheme === 'services';
  const nodes = sharesNodes(mirror, settings) ? 'place in the list of the node agents' : 'DaemonSet';
  const left = services ? `Certificate, ${nodes} and line of imageswap-maps` : nodes;
  return [
    ...(clusterIPs.length === 0
      ? [`left out without the Service's address (--cluster-ip): ${left}, and the address in default.conf`]
      : []),
    ...(nodePort === undefined ? [portsExhausted(settings.nodePorts).message] : []),
    ...(given ? [`Secret ${given.secret} is taken to cover ${given.names.join(', ')}`] : []),
    ...notesOnMirror(mirror, settings),
    ...(services && clusterIPs.length > 0 ? ['the Certificate is made only where its Issuer exists'] : []),
    ...notesOnNames(inputs),
  ];
}

/** What has the upstream behind the mirror. */
function notesOnNames(inputs: CompositionInputs): string[] {
  if (inputs.settings.addressingScheme === 'services')
    return ['no fallback: a rewritten image comes from the mirror or not at all'];
  const { names } = nodeMirror(inputs, { clusterIPs: [], certificateNames: [] });
  return names.map(({ name, upstream }) =>
    upstream
      ? `what is pulled as ${name} comes from the mirror, else from the upstream`
      : `no fallback: what is pulled as ${name} comes from the mirror or not at all`,
  );
}

/** What its fields mean for people. */
function notesOnMirror(mirror: RegistryMirror, { addressingScheme }: OperatorSettings): string[] {
  const { spec } = mirror;
  const size = sizeNote(mirror);
  return [
    ...(spec.access === undefined && credentialSecrets(mirror).length > 0 ? [sharedByDefault] : []),
    ...(nodeWiring(mirror, addressingScheme).clientCertificate ? [clientsAsked] : []),
    ...(spec.storage === 'ephemeral'
      ? ['the cache of a replica lies on its node and is lost with its pod']
      : []),
    ...(size === undefined ? [] : [size]),
  ];
}

/** One ConfigMap for all; other keys in it are left alone. */
function renderMap(placed: readonly PlacedMirror[], settings: OperatorSettings): Rendered {
  const known = placed.filter(({ clusterIPs }) => clusterIPs.length > 0);
  if (known.length === 0) return nothing;
  const lines = known.map(({ mirror, clusterIPs }) => mapMirrorOf(mirror, clusterIPs));
  const { text, leftOut } = imageswapMap(lines, settings.imageswapSeparator);
  const object = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: imageswapConfigMap.name, namespace: settings.imageswapNamespace },
    data: { [imageswapConfigMap.key]: text },
  };
  return {
    text: printObjects([{ object }]),
    notes: [...leftOut].map(([name, why]) => `${name}: no line in imageswap-maps: ${why}`),
  };
}
