/** Names, labels and marks of everything made for a mirror. Pure; anybody may import it. */
import { group } from './kind.ts';

/** Owner of our fields in server-side apply. */
export const fieldManager = 'registry-mirror-operator';

/** Keeps a mirror until what was done to the nodes is undone. */
export const finalizer = `${group}/undo-nodes`;

/** The operator's own CA: certificate, key and, once it was renewed, the pair before. One for all mirrors. */
export const caSecretName = 'registry-mirror-ca';

/** The ConfigMap imageswap reads, and the one key of it that is ours. */
export const imageswapConfigMap = { name: 'imageswap-maps', key: 'maps' } as const;

/** cert-manager's Issuer that services mode uses when it exists in `NAMESPACE`. */
export const issuerName = 'mirror-operator-issuer';

/** ServiceAccount of the node agents; made by `deploy/`, it needs no permission. */
export const nodeServiceAccount = 'mirror-hostess';

/** Marks a StatefulSet that was taken over from an earlier operator: its mirror is older than `REQUIRE_CREDENTIALS_LABEL`. */
export const adoptedAnnotation = { key: 'k8s.osp.tech/adopted', value: 'true' } as const;

/** Label a credentials Secret must carry when `REQUIRE_CREDENTIALS_LABEL` is set. */
export const credentialsLabel = { key: `${group}/mirror-credentials`, value: 'true' } as const;

/** Label that tells cache pods from node agents, and those from agents on nodes that left; all carry `selectorLabels`. */
export const componentLabel = 'component';
export const components = {
  cache: 'registry',
  nodes: 'hostess-certificate',
  leavingNodes: 'node-restore',
  /** Agents of all mirrors at once; their pods belong to no mirror. */
  sharedNodes: 'node-agent-shared',
} as const;

/** Those that wire nodes. */
export const agentComponents = [components.nodes, components.sharedNodes] as const;

type Component = (typeof components)[keyof typeof components];

/** Label of every pod of ours, so that rewriting leaves them alone: the mirror is not pulled through itself. */
export const ownPodsLabel = { key: 'app.kubernetes.io/managed-by', value: fieldManager } as const;

/** Objects of the rewriting webhook; no mirror's objects have such names. Its Deployment and Service are made by `deploy/`, the rest by the operator. */
export const webhookNames = {
  service: 'registry-rewrite-webhook',
  configuration: 'registry-rewrite-webhook',
  secret: 'registry-rewrite-webhook-tls',
  certificate: 'registry-rewrite-webhook',
  /** Ends the names of the webhooks in the configuration. */
  domain: `rewrite.${group}`,
} as const;

/** ClusterRole of `deploy/`: owns what rewriting leaves outside `NAMESPACE`, so that it goes when the operator's manifests go. */
export const rewritingRole = 'registry-mirror-rewriting';

/** Names of the objects made for one mirror; unique per kind in `NAMESPACE`. */
export interface ObjectNames {
  readonly service: string;
  readonly headlessService: string;
  readonly statefulSet: string;
  /** Over the cache pods. */
  readonly disruptionBudget: string;
  readonly daemonSet: string;
  /** Restores nodes that left the selection; gone when they are. */
  readonly restoreDaemonSet: string;
  /** Configuration of nginx and broker and the trust bundle; no private key. */
  readonly configSecret: string;
  /** Certificate and key made by our own CA, and a copy of the given ones: all that cache pods mount of certificates. */
  readonly leafSecret: string;
  /** Certificate and key that node agents show, to the mirror and to who asks them. */
  readonly clientSecret: string;
  /** cert-manager's Certificate and the Secret cert-manager writes for it; never written by us. */
  readonly certificate: string;
  readonly certificateSecret: string;
}

/** Returns the names of all objects of the mirror `name`. */
export function objectNames(name: string): ObjectNames {
  const base = `registry-mirror-${name}`;
  return {
    service: base,
    headlessService: `${base}-headless`,
    statefulSet: base,
    disruptionBudget: base,
    daemonSet: `${base}-utils`,
    restoreDaemonSet: `${base}-restore`,
    configSecret: `${base}-secret`,
    leafSecret: `${base}-leaf`,
    clientSecret: `${base}-client`,
    certificate: base,
    certificateSecret: `${base}-tls`,
  };
}

/** The two labels of every object of a mirror, the mirror itself included; immutable selector of its workloads. */
export function selectorLabels(name: string): { app: 'docker-registry'; mirror: string } {
  return { app: 'docker-registry', mirror: name };
}

/** Labels that the cache pods of a mirror have and no other pod has. */
export function cachePodLabels(name: string): Readonly<Record<string, string>> {
  return { ...selectorLabels(name), [componentLabel]: components.cache };
}

/** `app=docker-registry,mirror=<name>` for list requests and the scale subresource; with a component only its pods. */
export function labelSelector(name: string, component?: Component): string {
  const labels = { ...selectorLabels(name), ...(component && { [componentLabel]: component }) };
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** Common name of every replica's certificate: only who shows it is taken for a replica of the mirror. */
export function replicaCommonName(name: string): string {
  return objectNames(name).statefulSet;
}

/** Common name, and DNS name, of what node agents show; with a dot, which no mirror's name has: never that of a replica, of whichever mirror. */
export function nodeCommonName(name: string): string {
  return `${replicaCommonName(name)}.node`;
}

/** The DaemonSet that wires all mirrors, and its Secret; no mirror's object of these kinds has such a name. */
export const sharedNodesName = 'registry-mirror-nodes';

/** The budget of the operator's own pods, made by `deploy/`: a mirror called `operator` would take it away from them. */
export const operatorBudgetName = 'registry-mirror-operator';

/** Common name, and DNS name, of what an agent shows that wires all mirrors. */
export const sharedNodeCommonName = 'registry-mirror.node';

/** Common name of what the operator shows to node agents: as little that of a replica, for the same reason. */
export const operatorCommonName = 'registry-mirror-operator.status';

/** DNS names under which the mirror's Service is known in the cluster, shortest first; SANs of the leaf. */
export function serviceDnsNames(name: string, namespace: string): string[] {
  const { service } = objectNames(name);
  const qualified = `${service}.${namespace}`;
  return [service, qualified, `${qualified}.svc`, `${qualified}.svc.cluster.local`];
}
