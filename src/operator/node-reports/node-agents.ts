/** Which node agents there are, on which nodes, and how each is asked: read from their pods. Pure. */
import {
  agentComponents,
  componentLabel,
  components,
  nodeCommonName,
  selectorLabels,
  sharedNodeCommonName,
} from '../../api/names.ts';
import type { KubeObject } from '../../kube/object.ts';
import { authorityAnnotation } from '../../resources/daemon-set.ts';
import { type AgentPod, isReady } from '../registry-mirror/agent-pods.ts';
import { agentPort } from '../registry-mirror/node-port.ts';

/** How an agent is dialled. */
export interface AgentEndpoint {
  /** IP address of the node. */
  readonly address: string;
  readonly port: number;
  /** The DNS name that its certificate must have. */
  readonly serverName: string;
  /** Mark of the operator's authority with which it was started. */
  readonly authority?: string;
}

/** One agent. */
export interface NodeAgent {
  /** Name of the pod. */
  readonly pod: string;
  /** Another one whenever the pod has changed. */
  readonly version: string;
  readonly node: string;
  /** Absent: it wires all mirrors. */
  readonly mirror?: string;
  readonly ready: boolean;
  /** When the pod was made, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** Absent: its kubelet has not taken it, or it is of a version that cannot be asked. */
  readonly endpoint?: AgentEndpoint;
}

interface NodeAgentPod extends AgentPod {
  readonly spec?: { readonly nodeName?: string; readonly [field: string]: unknown };
  readonly status?: NonNullable<AgentPod['status']> & {
    readonly phase?: string;
    readonly hostIP?: string;
    readonly hostIPs?: readonly { readonly ip: string }[];
  };
}

/** Selects the pods of all agents that wire. */
export const agentSelector = `app=${selectorLabels('').app},${componentLabel} in (${agentComponents.join(',')})`;

/** The agents among `pods`, by name; `sharedPort` is that of agents that wire all mirrors. */
export function nodeAgents(pods: readonly KubeObject[], sharedPort: number): readonly NodeAgent[] {
  return (pods as readonly NodeAgentPod[])
    .filter(isAgent)
    .map((pod) => nodeAgent(pod, sharedPort))
    .sort((one, other) => (one.pod < other.pod ? -1 : 1));
}

/** Pods that are ending or not yet scheduled are on no node. */
function isAgent({ metadata, spec, status }: NodeAgentPod): boolean {
  const { [componentLabel]: component, mirror } = metadata.labels ?? {};
  const known =
    component === components.sharedNodes || (component === components.nodes && mirror !== undefined);
  const ended = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  return known && !ended && metadata.deletionTimestamp === undefined && spec?.nodeName !== undefined;
}

function nodeAgent(pod: NodeAgentPod, sharedPort: number): NodeAgent {
  const { metadata, spec } = pod;
  const { [componentLabel]: component, mirror } = metadata.labels ?? {};
  const shared = component === components.sharedNodes;
  const endpoint = endpointOf(pod, shared ? undefined : mirror, sharedPort);
  return {
    pod: metadata.name,
    version: `${metadata.uid} ${metadata.resourceVersion}`,
    node: spec?.nodeName ?? '',
    ...(!shared && mirror !== undefined && { mirror }),
    ready: isReady(pod),
    createdAt: Date.parse(metadata.creationTimestamp ?? ''),
    ...(endpoint && { endpoint }),
  };
}

function endpointOf(
  pod: NodeAgentPod,
  mirror: string | undefined,
  sharedPort: number,
): AgentEndpoint | undefined {
  const { hostIP, hostIPs } = pod.status ?? {};
  const address = hostIP ?? hostIPs?.[0]?.ip;
  const port = mirror === undefined ? sharedPort : agentPort(pod.spec);
  if (address === undefined || port === undefined) return undefined;
  const serverName = mirror === undefined ? sharedNodeCommonName : nodeCommonName(mirror);
  const authority = pod.metadata.annotations?.[authorityAnnotation];
  return { address, port, serverName, ...(authority !== undefined && { authority }) };
}
