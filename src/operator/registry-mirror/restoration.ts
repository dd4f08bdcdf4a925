/** How far nodes are restored, from the DaemonSet that does it. */
import { group } from '../../api/kind.ts';
import { components, labelSelector } from '../../api/names.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { pods } from '../resource-types.ts';
import type { Finding } from './finding.ts';
import type { LiveDaemonSet } from './live-objects.ts';

/** When a restoring DaemonSet was made; kept on it, so that a restart of the operator does not begin anew. */
export const sinceAnnotation = `${group}/restoring-since`;
/** Nodes that were not reached by then are named and no longer waited for: a dead node must not hold a mirror for ever. */
export const restoreLimitMs = 300_000;

/** When the restoring DaemonSet was made, in milliseconds since the epoch. */
export function startOf({ metadata }: LiveDaemonSet): number {
  return Date.parse(metadata.annotations?.[sinceAnnotation] ?? metadata.creationTimestamp ?? '');
}

/** An agent that restores is ready when it is done; old agents are ready, too, hence the updated ones. */
export function isRestored({ metadata, status }: LiveDaemonSet): boolean {
  const { observedGeneration = 0, desiredNumberScheduled = 0 } = status ?? {};
  if (observedGeneration < (metadata.generation ?? 1)) return false;
  const { updatedNumberScheduled = 0, numberReady = 0 } = status ?? {};
  return updatedNumberScheduled >= desiredNumberScheduled && numberReady >= desiredNumberScheduled;
}

/** Condition `NodesWired` while nodes are restored. */
export function restorationFinding({ status }: LiveDaemonSet): Finding {
  const { desiredNumberScheduled = 0, numberReady = 0, updatedNumberScheduled = 0 } = status ?? {};
  const done = Math.min(numberReady, updatedNumberScheduled);
  const message = `${done} of ${desiredNumberScheduled} nodes are restored`;
  return { type: 'NodesWired', status: 'False', reason: 'Restoring', message };
}

interface LivePod extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
}

const namesShown = 10;

/** The nodes whose agent is not ready, as text; `unknown` where that cannot be read. */
export async function unrestoredNodes(
  client: KubeClient,
  namespace: string,
  mirror: string,
  signal: AbortSignal,
  component: 'nodes' | 'leavingNodes' = 'nodes',
): Promise<string> {
  const selection = { namespace, labelSelector: labelSelector(mirror, components[component]) };
  const list = await client.listAll<LivePod>(pods, { ...selection, signal }).catch(() => undefined);
  if (list === undefined) return 'unknown';
  const names = list.items
    .filter((pod) => !isReady(pod))
    .map(({ spec }) => spec?.nodeName ?? '(not scheduled)');
  const shown = [...new Set(names)].sort().slice(0, namesShown).join(', ');
  const more = names.length - namesShown;
  return more > 0 ? `${shown} and ${more} more` : shown || 'unknown';
}

function isReady({ status }: LivePod): boolean {
  return status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
}
