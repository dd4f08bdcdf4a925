/**
 * Which objects a mirror becomes, phase by phase: the one composition used by the reconciler and by `render`. Pure; the
 * same inputs give the same objects.
 */
import { objectNames, operatorBudgetName } from '../../api/names.ts';
import { masqueradeOf } from '../../api/upstream.ts';
import { cacheFiles } from '../../cache/cache-files.ts';
import { certificate } from '../../resources/certificate.ts';
import { nodeDaemonSet } from '../../resources/daemon-set.ts';
import { disruptionBudget } from '../../resources/disruption-budget.ts';
import type { KubernetesObject, MirrorInput } from '../../resources/object.ts';
import {
  clientSecret,
  configSecret,
  type Leaf,
  type LeafOptions,
  leafSecret,
} from '../../resources/secret.ts';
import { clusterService, headlessService } from '../../resources/service.ts';
import { sharesNodes } from '../../resources/shared-nodes.ts';
import { cacheStatefulSet } from '../../resources/stateful-set.ts';
import { podCacheConfig } from './cache-view.ts';

/** Everything the objects are made from; a frozen snapshot. */
export interface CompositionInputs extends MirrorInput {
  /** The Service's addresses; empty: not known yet, what needs them is left out. */
  readonly clusterIPs: readonly string[];
  /** Port of the mirror on its nodes; absent: none is left, and no node is wired. */
  readonly nodePort?: number;
  /** Certificate of our own authority, always served for what a given one does not cover. */
  readonly leaf: Leaf;
  /** What node agents show: to the mirror where it asks for a certificate, and to the operator, which asks them. */
  readonly client: Leaf;
  /** PEM certificates that nodes trust. */
  readonly trustBundle: string;
  /** While a renewed authority waits: which one, and since when nodes are given it. */
  readonly authoritySince?: string;
  /** What lies beside the leaf; a given certificate may do so without being served any more. */
  readonly leafOptions: LeafOptions;
  /** Mark of our own authority; absent where it is made in the cluster only (`render`). */
  readonly authorityMark?: string;
  /** A certificate that is not ours: copied from Secret `secret`, it serves `names`. */
  readonly given?: { readonly secret: string; readonly names: readonly string[] };
  /** Services mode: cert-manager's Issuer exists. */
  readonly issuer: boolean;
  /** Addresses to ask for because the Service was lost. */
  readonly askForClusterIPs?: readonly string[];
  /** Templates of the live StatefulSet, which cannot change. */
  readonly volumeClaimTemplates?: readonly unknown[];
}

export type PhaseName = 'services' | 'certificates' | 'configuration' | 'cache' | 'nodes';

interface Phase {
  readonly name: PhaseName;
  readonly objects: (inputs: CompositionInputs) => readonly KubernetesObject[];
}

/** In the order in which they are applied: each needs what the ones before it made. */
export const phases: readonly Phase[] = [
  { name: 'services', objects: serviceObjects },
  { name: 'certificates', objects: certificateObjects },
  { name: 'configuration', objects: configurationObjects },
  { name: 'cache', objects: cacheObjects },
  { name: 'nodes', objects: nodeObjects },
];

/** Returns the objects of every phase. */
export function desiredObjects(
  inputs: CompositionInputs,
): readonly { readonly phase: PhaseName; readonly objects: readonly KubernetesObject[] }[] {
  return phases.map(({ name, objects }) => ({ phase: name, objects: objects(inputs) }));
}

/** The Services; all that can be made before their addresses are known. */
export function serviceObjects(
  input: MirrorInput & Pick<CompositionInputs, 'askForClusterIPs'>,
): readonly KubernetesObject[] {
  const { askForClusterIPs } = input;
  return [
    clusterService(input, askForClusterIPs === undefined ? {} : { clusterIPs: askForClusterIPs }),
    headlessService(input),
  ];
}

/** The leaf comes before the pods that mount it. */
function certificateObjects(inputs: CompositionInputs): readonly KubernetesObject[] {
  const { clusterIPs, issuer } = inputs;
  const issued = issuer && clusterIPs.length > 0;
  return [
    leafSecret(inputs, inputs.leaf, inputs.leafOptions),
    clientSecret(inputs, inputs.client, inputs.leafOptions.authorities),
    ...(issued ? [certificate(inputs, { clusterIPs })] : []),
  ];
}

function configurationObjects(inputs: CompositionInputs): readonly KubernetesObject[] {
  const files = cacheFiles(podCacheConfig(inputs, inputs));
  const { trustBundle, authoritySince } = inputs;
  const since = authoritySince === undefined ? {} : { authoritySince };
  return [configSecret(inputs, { files: { ...files, 'ca.crt': trustBundle }, ...since })];
}

function cacheObjects(inputs: CompositionInputs): readonly KubernetesObject[] {
  const { volumeClaimTemplates } = inputs;
  const set = cacheStatefulSet(inputs, volumeClaimTemplates ? { volumeClaimTemplates } : {});
  const isTaken = objectNames(inputs.mirror.metadata.name).disruptionBudget === operatorBudgetName;
  return [set, ...(isTaken ? [] : [disruptionBudget(inputs)])];
}

function nodeObjects(inputs: CompositionInputs): readonly KubernetesObject[] {
  const { clusterIPs, nodePort, authorityMark } = inputs;
  if (clusterIPs.length === 0 || nodePort === undefined || sharesNodes(inputs.mirror, inputs.settings))
    return [];
  const options = {
    clusterIPs,
    nodePort,
    mode: 'wire',
    ownerReferences: true,
    certificateNames: dockerNames(inputs),
    ...(authorityMark !== undefined && { authority: authorityMark }),
  } as const;
  return [nodeDaemonSet(inputs, options)];
}

/** What Docker calls the registry, `host` or `host:port`: folders of certs.d. */
export function dockerNames({ mirror, settings, clusterIPs }: CompositionInputs): readonly string[] {
  return settings.addressingScheme === 'services' ? clusterIPs : [masqueradeOf(mirror)];
}
