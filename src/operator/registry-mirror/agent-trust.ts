/** Whether the node agents of a mirror trust an authority: they were started with it and are ready. */
import { labelSelector } from '../../api/names.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { authorityAnnotation } from '../../resources/daemon-set.ts';
import { pods } from '../resource-types.ts';
import type { LiveDaemonSet } from './live-objects.ts';

/** True when every selected node's agent was started with the authority of this mark, and has made its pass. */
export function agentsTrust(set: LiveDaemonSet | undefined, mark: string): boolean {
  if (set === undefined || set.metadata.deletionTimestamp !== undefined) return false;
  if (set.spec?.template?.metadata?.annotations?.[authorityAnnotation] !== mark) return false;
  const { observedGeneration = 0, desiredNumberScheduled = 0 } = set.status ?? {};
  if (observedGeneration < (set.metadata.generation ?? 1)) return false;
  const { updatedNumberScheduled = 0, numberReady = 0 } = set.status ?? {};
  return updatedNumberScheduled >= desiredNumberScheduled && numberReady >= desiredNumberScheduled;
}

interface AgentPod extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
}

const namesShown = 10;

/** The nodes whose agent does not trust the authority yet, as text; `unknown` where that cannot be read. One request. */
export async function nodesBehind(
  client: KubeClient,
  place: { readonly namespace: string; readonly mirror: string; readonly mark: string },
  signal: AbortSignal,
): Promise<string> {
  const { namespace, mirror, mark } = place;
  const selection = { namespace, labelSelector: labelSelector(mirror, 'hostess-certificate') };
  const list = await client.listAll<AgentPod>(pods, { ...selection, signal }).catch(() => undefined);
  signal.throwIfAborted();
  if (list === undefined) return 'unknown';
  const behind = list.items.filter((pod) => !isReadyWith(pod, mark));
  const names = [...new Set(behind.map(({ spec }) => spec?.nodeName ?? '(not scheduled)'))].sort();
  const more = names.length - namesShown;
  const shown = names.slice(0, namesShown).join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown || 'unknown';
}

function isReadyWith({ metadata, status }: AgentPod, mark: string): boolean {
  const isReady = status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
  return isReady && metadata.annotations?.[authorityAnnotation] === mark;
}
