/** What one DaemonSet needs that wires all mirrors (`NODE_DAEMONSETS=shared`): its list of mirrors, with all that agents read, and itself. Pure. */
import {
  componentLabel,
  components,
  nodeServiceAccount,
  selectorLabels,
  sharedNodesName,
} from '../api/names.ts';
import { bundleName, type ListEntry, listKey, type NodeList, type NodeMirror } from '../api/node-mirror.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import type { OperatorSettings } from '../api/settings.ts';
import { agentNodeAffinity } from './agent-nodes.ts';
import {
  type DaemonSetView,
  defaultAgent,
  privileges,
  secretSource,
  signals,
  variables,
} from './daemon-set.ts';
import { type KubernetesObject, objectFrom, podLabels } from './object.ts';
import {
  annotated,
  authoritySinceAnnotation,
  encodedFiles,
  type Leaf,
  peerAuthoritiesKey,
} from './secret.ts';

/** A mirror as it stands in the list. */
export interface ListedMirror {
  readonly mirror: NodeMirror;
  /** PEM certificates by which it is verified. */
  readonly authorities: string;
}

/** The first plan of hundreds of mirrors needs more than the plan of one. */
const sharedAgent = { ...defaultAgent, limits: { memory: '512Mi' } };

/** What the agents are given. */
export interface SharedList {
  readonly listed: readonly ListedMirror[];
  /** Mirrors that other agents wire, or that nobody may touch now. */
  readonly others: readonly string[];
  /** Mirrors that are to be taken back. */
  readonly gone: readonly string[];
  /** As in `NodeList`. */
  readonly left?: Readonly<Record<string, number>>;
  /** As in `NodeList`. */
  readonly since?: Readonly<Record<string, number>>;
  readonly version?: number;
}

/** What they show, and whom they let ask. */
export interface SharedIdentity {
  readonly leaf: Leaf;
  readonly authorities: string;
  /** While the leaf waits for agents that do not trust a new authority yet: since when they are given it, as in `ConfigOptions`. */
  readonly authoritySince?: string | undefined;
}

/** False for a mirror that chooses its nodes, their priority, or what its agents may use: it has agents of its own. */
export function sharesNodes({ spec }: Pick<RegistryMirror, 'spec'>, settings: OperatorSettings): boolean {
  if (settings.nodeDaemonSets !== 'shared' || settings.images.hostess !== undefined) return false;
  const { nodeSelector, affinity, tolerations, resources } = spec.nodes ?? {};
  const own = [nodeSelector, affinity, tolerations, resources, spec.priorityClass];
  return own.every((field) => field === undefined);
}

/** The list and the authorities that it names, by the names of their files. */
export function listFiles(shared: SharedList): Record<string, string> {
  const { listed, others, gone, left, since, version } = shared;
  const list: NodeList = {
    ...(version !== undefined && { version }),
    ...{ mirrors: listed.map(listEntry), others, gone },
    ...(left !== undefined && { left }),
    ...(since !== undefined && { since }),
  };
  const bundles = listed.map(({ authorities }) => [bundleName(authorities), authorities] as const);
  return { [listKey]: `${JSON.stringify(list)}\n`, ...Object.fromEntries(bundles) };
}

/** What agents read of a mirror. */
export function listEntry({ mirror, authorities }: ListedMirror): ListEntry {
  return { ...mirror, bundle: bundleName(authorities) };
}

/** One Secret holds all: the agents follow it as it changes, and none of them is restarted for that. */
export function sharedNodesSecret(
  settings: OperatorSettings,
  list: SharedList,
  { leaf, authorities, authoritySince }: SharedIdentity,
): KubernetesObject {
  const files = {
    'tls.crt': leaf.certificate,
    'tls.key': leaf.key,
    'ca.crt': leaf.ca,
    [peerAuthoritiesKey]: authorities,
    ...listFiles(list),
  };
  const data = encodedFiles(files);
  const object = objectFrom('secret.yaml', { metadata: metadata(settings), type: 'kubernetes.io/tls', data });
  return annotated(object, authoritySinceAnnotation, authoritySince);
}

/** The DaemonSet on every node that can run agents and whose taints it tolerates; `authority` as in `nodeDaemonSet`. */
export function sharedDaemonSet(
  settings: OperatorSettings,
  { listed }: SharedList,
  {
    authority,
    startupTaints,
  }: { readonly authority: string | null; readonly startupTaints: readonly string[] },
): KubernetesObject {
  // With the first mirror it is nearly always so; another answer restarts every agent.
  const isSignalling = listed.length === 0 || listed.some(({ mirror }) => signals(mirror));
  const labels = { app: selectorLabels('').app, [componentLabel]: components.sharedNodes };
  const view: DaemonSetView = {
    metadata: metadata(settings, settings.labels),
    selector: labels,
    minReadySeconds: 10,
    maxUnavailable: '10%',
    podLabels: podLabels(settings, labels),
    authority,
    serviceAccountName: nodeServiceAccount,
    priorityClass: settings.nodePriorityClass,
    imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })),
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    affinity: agentNodeAffinity(),
    tolerations: [
      ...settings.tolerations,
      ...settings.nodeTolerations,
      ...startupTaints.map((key) => ({ key, operator: 'Exists' as const })),
    ],
    trust: [secretSource(sharedNodesName)],
    hostNetwork: true,
    ...privileges(isSignalling, 'node-agent'),
    agent: {
      name: 'node-agent',
      image: settings.images.operator,
      env: sharedEnv(settings),
      resources: sharedAgent,
    },
    hostess: null,
  };
  return objectFrom('daemon-set.yaml', view);
}

function sharedEnv({ namespace, nodePorts }: OperatorSettings) {
  return variables({
    NODE_AGENT_MODE: 'wire',
    HOST_ROOT: '/host',
    MIRRORS_FILE: `/etc/registry-mirror/trust/${listKey}`,
    STATUS_PORT: String(nodePorts.first),
    HOSTS_FILE: '/etc/hosts',
    HOSTS_FILE_BACKUP: '/etc/hosts.backup/hosts',
    LOCK_FILE: '/var/lock/mirror-hostess/mirror-hostess',
    SERVICE_NAMESPACE: namespace,
  });
}

/** It belongs to no mirror alone. */
function metadata(settings: OperatorSettings, labels: Readonly<Record<string, string>> = {}) {
  return {
    name: sharedNodesName,
    namespace: settings.namespace,
    labels: { ...labels, app: selectorLabels('').app, [componentLabel]: components.sharedNodes },
    ownerReferences: [],
  };
}
