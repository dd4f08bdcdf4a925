/** The DaemonSet of a mirror: the node agents, which wire their node or take that back. */
import { group } from '../api/kind.ts';
import { componentLabel, components, nodeServiceAccount, objectNames, selectorLabels } from '../api/names.ts';
import type { NodeMirror } from '../api/node-mirror.ts';
import type { ResourceRequirements, Toleration } from '../api/registry-mirror.ts';
import { masqueradeOf, masqueradesAsDockerHub, splitHostPort } from '../api/upstream.ts';
import { agentNodeAffinity } from './agent-nodes.ts';
import { type NodeMirrorOptions, nodeMirror } from './node-mirror.ts';
import {
  type KubernetesObject,
  type MetadataView,
  type MirrorInput,
  metadataView,
  objectFrom,
  podLabels,
} from './object.ts';
import { peerAuthoritiesKey } from './secret.ts';

/** What decides over the node agents beside the mirror and the settings. */
export interface NodeOptions extends NodeMirrorOptions {
  /** `restore`: take everything back, on every node, as fast as can be. */
  readonly mode: 'wire' | 'restore';
  /** False while the mirror is deleted: the garbage collector must not take away what restores the nodes. */
  readonly ownerReferences: boolean;
  /** Mark of the operator's own authority: a new one restarts the agents, which then trust it. */
  readonly authority?: string;
}

/** On the agents' pods: the mark of the authority with which they were started; printed by the template. */
export const authorityAnnotation = `${group}/authority`;

interface Variable {
  readonly name: string;
  readonly value: string;
}

/** What `daemon-set.yaml` prints; `null` where something is absent. */
export interface DaemonSetView {
  readonly metadata: MetadataView;
  readonly selector: Readonly<Record<string, string>>;
  readonly minReadySeconds: number;
  readonly maxUnavailable: string;
  readonly podLabels: Readonly<Record<string, string>>;
  readonly authority: string | null;
  readonly serviceAccountName: string;
  /** Empty: none. */
  readonly priorityClass: string;
  readonly imagePullSecrets: readonly { readonly name: string }[];
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly affinity: object;
  readonly tolerations: readonly Toleration[];
  /** Sources of the volume with what the agent trusts and shows. */
  readonly trust: readonly object[];
  /** Wiring agents listen on the node's loopback and address. */
  readonly hostNetwork: boolean;
  /** Where processes of the node may have to be told of a change. */
  readonly hostPID: boolean;
  /** The annotation that takes AppArmor's profile from the agent's container, where it signals processes of the node. */
  readonly unconfined: string | null;
  readonly capabilities: readonly string[];
  readonly agent: {
    readonly name: string;
    readonly image: string;
    readonly env: readonly Variable[];
    readonly resources: ResourceRequirements;
  };
  /** A foreign mirror-hostess that keeps the hosts file instead of our agent. */
  readonly hostess: { readonly image: string; readonly env: readonly Variable[] } | null;
}

export const defaultAgent: ResourceRequirements = {
  requests: { cpu: '10m', memory: '96Mi' },
  limits: { memory: '192Mi' },
};

/** The name users know from the original; our container has another one beside a foreign image's. */
const hostessContainer = 'mirror-hostess';

/** The DaemonSet; its selector matches the cache pods' labels too, so it must never be orphaned or adopt (see the design). */
export function nodeDaemonSet(input: MirrorInput, options: NodeOptions): KubernetesObject {
  return objectFrom('daemon-set.yaml', daemonSetView(input, options));
}

/** The view of the DaemonSet. */
export function daemonSetView(input: MirrorInput, options: NodeOptions): DaemonSetView {
  const { mirror, settings } = input;
  const names = objectNames(mirror.metadata.name);
  const selector = selectorLabels(mirror.metadata.name);
  const metadata = metadataView(input, names.daemonSet, settings.labels);
  const hostess = options.mode === 'wire' ? foreignHostess(input) : null;
  const told = nodeMirror(input, options);
  const container = hostess ? 'node-agent' : hostessContainer;
  return {
    metadata: options.ownerReferences ? metadata : { ...metadata, ownerReferences: [] },
    selector,
    podLabels: podLabels(settings, { ...selector, [componentLabel]: components.nodes }),
    authority: options.authority ?? null,
    serviceAccountName: nodeServiceAccount,
    // An agent that waits for room leaves a node unwired, or wired to what is gone. Where a ResourceQuota keeps this
    // class for kube-system (GKE does), `spec.priorityClass` names another or none, or NODE_PRIORITY_CLASS another.
    priorityClass: mirror.spec.priorityClass ?? settings.nodePriorityClass,
    imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })),
    ...(options.mode === 'restore' ? everywhere : selectedNodes(input)),
    trust: [
      secretSource(names.configSecret, ['ca.crt']),
      secretSource(names.clientSecret, ['tls.crt', 'tls.key', peerAuthoritiesKey]),
    ],
    hostNetwork: options.mode === 'wire',
    // What is taken back may have been wired before the runtimes were named.
    ...privileges(options.mode === 'restore' || signals(told), container),
    agent: {
      name: container,
      image: settings.images.operator,
      env: agentEnv(input, options, told),
      resources: mirror.spec.nodes?.resources ?? defaultAgent,
    },
    hostess,
  };
}

/** Optional: while a mirror is deleted the Secret may go before its nodes are restored. Without keys: all of it. */
export function secretSource(name: string, keys?: readonly string[]): object {
  const items = keys?.map((key) => ({ key, path: key }));
  return { secret: { name, optional: true, ...(items && { items }) } };
}

/** What an agent may do on its node, where it has to signal processes and where not. */
export function privileges(
  signalling: boolean,
  container: string,
): Pick<DaemonSetView, 'hostPID' | 'unconfined' | 'capabilities'> {
  return {
    hostPID: signalling,
    unconfined: signalling ? `container.apparmor.security.beta.kubernetes.io/${container}` : null,
    capabilities: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', ...(signalling ? ['KILL'] : [])],
  };
}

/** A rollout must not unwire many nodes at once, nor go on when the first ones fail. */
function selectedNodes({ mirror, settings }: MirrorInput) {
  const { nodes } = mirror.spec;
  return {
    minReadySeconds: 10,
    maxUnavailable: '10%',
    nodeSelector: { 'kubernetes.io/os': 'linux', ...nodes?.nodeSelector },
    affinity: nodes?.affinity ?? agentNodeAffinity(),
    tolerations: [
      ...settings.tolerations,
      ...settings.nodeTolerations,
      ...(nodes?.tolerations ?? []),
      // Agents are what makes it go.
      ...(nodes?.startupTaint === undefined
        ? []
        : [{ key: nodes.startupTaint, operator: 'Exists' as const }]),
    ],
  };
}

/** dockerd and CRI-O read some files only when they are told to; containerd reads its own only when it starts. */
export function signals({ runtimes, names, containerd }: NodeMirror): boolean {
  if (runtimes.includes('auto') || runtimes.includes('crio')) return true;
  const isHub = names.some(({ name, upstream }) => name === 'docker.io' && upstream);
  return (
    (runtimes.includes('docker') && isHub) ||
    (runtimes.includes('containerd') && containerd === 'configureAndRestart')
  );
}

/** Nodes may have left the selection since they were wired. */
const everywhere = {
  minReadySeconds: 0,
  maxUnavailable: '100%',
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  affinity: agentNodeAffinity(),
  tolerations: [{ operator: 'Exists' }],
} as const;

/** See `src/config/node-mirror-environment.ts`. Paths are the host's own. */
function agentEnv({ settings }: MirrorInput, options: NodeOptions, told: NodeMirror): Variable[] {
  const namesWhere = (upstream: boolean) => told.names.filter((each) => each.upstream === upstream);
  const list = (names: readonly { readonly name: string }[]) => names.map(({ name }) => name).join(',');
  return variables({
    NODE_AGENT_MODE: options.mode,
    HOST_ROOT: '/host',
    MIRROR_NAME: told.name,
    MIRROR_ADDRESSES: told.addresses.join(','),
    UPSTREAM_NAMES: list(namesWhere(true)),
    UPSTREAM_SCHEME: told.names.find(({ scheme }) => scheme !== undefined)?.scheme ?? '',
    ALIAS_NAMES: list(namesWhere(false)),
    NODE_PORT: String(told.port ?? ''),
    FALLBACK_PORT: String(told.fallbackPort ?? ''),
    ENDPOINT: told.endpoint,
    SERVER_NAME: told.serverName,
    RUNTIMES: told.runtimes.join(','),
    CONTAINERD: told.containerd,
    FOREIGN_FILES: told.foreignFiles,
    FOREIGN_HOSTS_LINES: told.foreignHostsLines,
    CLIENT_CERTIFICATE: String(told.clientCertificate),
    WIRE_HOSTS: String(told.hostsNames.length > 0),
    SHADOW_FQDN: told.hostsNames.join(','),
    CERTIFICATE_NAMES: told.certificateNames.join(','),
    CA_FILE: '/etc/registry-mirror/trust/ca.crt',
    HOSTS_FILE: '/etc/hosts',
    HOSTS_FILE_BACKUP: '/etc/hosts.backup/hosts',
    LOCK_FILE: '/var/lock/mirror-hostess/mirror-hostess',
    SERVICE_NAME: objectNames(told.name).service,
    SERVICE_NAMESPACE: settings.namespace,
  });
}

/** The container of an image named by `HOSTESS_DOCKER_IMAGE`, with the original's environment and mounts. */
function foreignHostess({ mirror, settings }: MirrorInput): DaemonSetView['hostess'] {
  const image = settings.images.hostess;
  if (image === undefined || settings.addressingScheme !== 'hostess' || masqueradesAsDockerHub(mirror))
    return null;
  const env = variables({
    HOSTS_FILE: '/etc/hosts_from_host',
    HOSTS_FILE_BACKUP: '/etc/hosts.backup/hosts',
    LOCK_FILE: '/var/lock/hostess/mirror-hostess',
    SERVICE_NAME: objectNames(mirror.metadata.name).service,
    SERVICE_NAMESPACE: settings.namespace,
    // The original writes it into the hosts file as it is, where a port would make it no name.
    SHADOW_FQDN: splitHostPort(masqueradeOf(mirror)).host,
  });
  return { image, env };
}

/** Empty ones are left out, as the API server does: what is written must be what is read back. */
export function variables(values: Readonly<Record<string, string>>): Variable[] {
  return Object.entries(values)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => ({ name, value }));
}
