/** The node agents of a mirror: how far their DaemonSet is rolled out, and on which nodes they are not as they should be. */
import { componentLabel, components, labelSelector, selectorLabels } from '../../api/names.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { pods } from '../resource-types.ts';
import type { LiveDaemonSet } from './live-objects.ts';

export interface AgentPod extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
}

/** Whose agents. */
export interface AgentPlace {
  readonly namespace: string;
  readonly mirror: string;
  readonly component: 'nodes' | 'leavingNodes' | 'sharedNodes';
}

const namesShown = 10;

/** True when every selected node has the newest agent and all are ready; old agents may be ready, too, hence the updated ones. */
export function isRolledOut({ metadata, status }: LiveDaemonSet): boolean {
  const { observedGeneration = 0, desiredNumberScheduled = 0 } = status ?? {};
  if (observedGeneration < (metadata.generation ?? 1)) return false;
  const { updatedNumberScheduled = 0, numberReady = 0 } = status ?? {};
  return updatedNumberScheduled >= desiredNumberScheduled && numberReady >= desiredNumberScheduled;
}

/** An agent is ready when it has made its pass. */
export function isReady({ status }: AgentPod): boolean {
  return status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
}

/** The nodes whose agent is not `asItShouldBe`, as text; `unknown` where that cannot be read. One request. */
export async function nodesWithout(
  asItShouldBe: (pod: AgentPod) => boolean,
  client: KubeClient,
  { namespace, mirror, component }: AgentPlace,
  signal: AbortSignal,
): Promise<string> {
  const selector =
    component === 'sharedNodes'
      ? `app=${selectorLabels(mirror).app},${componentLabel}=${components[component]}`
      : labelSelector(mirror, components[component]);
  const selection = { namespace, labelSelector: selector };
  const list = await client.listAll<AgentPod>(pods, { ...selection, signal }).catch(() => undefined);
  signal.throwIfAborted();
  if (list === undefined) return 'unknown';
  const wrong = list.items.filter((pod) => !asItShouldBe(pod));
  const names = [...new Set(wrong.map(({ spec }) => spec?.nodeName ?? '(not scheduled)'))].sort();
  const more = names.length - namesShown;
  const shown = names.slice(0, namesShown).join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown || 'unknown';
}
