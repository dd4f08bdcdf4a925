/** How far nodes are restored, from the DaemonSet that does it. */
import { restoringReason } from '../../api/conditions.ts';
import { group } from '../../api/kind.ts';
import type { KubeClient } from '../../kube/client.ts';
import { type AgentPlace, isReady, nodesWithout } from './agent-pods.ts';
import type { Finding } from './finding.ts';
import type { LiveDaemonSet } from './live-objects.ts';

/** When a restoring DaemonSet was made; kept on it, so that a restart of the operator does not begin anew. */
export const sinceAnnotation = `${group}/restoring-since`;
/** Nodes that were not reached by then are named and no longer waited for: a dead node must not hold a mirror for ever. */
export const restoreLimitMs = 300_000;

/**
 * When the restoring DaemonSet was made, in milliseconds since the epoch; now, where nobody can read that, or it is in the future because the clock
 * was set back: the wait must end.
 */
export function startOf({ metadata }: LiveDaemonSet, now: Date): number {
  const made = Date.parse(metadata.annotations?.[sinceAnnotation] ?? metadata.creationTimestamp ?? '');
  return Number.isFinite(made) ? Math.min(made, now.getTime()) : now.getTime();
}

/** Condition `NodesWired` while nodes are restored. */
export function restorationFinding({ status }: LiveDaemonSet): Finding {
  const { desiredNumberScheduled = 0, numberReady = 0, updatedNumberScheduled = 0 } = status ?? {};
  const done = Math.min(numberReady, updatedNumberScheduled);
  const message = `${done} of ${desiredNumberScheduled} nodes are restored`;
  return { type: 'NodesWired', status: 'False', reason: restoringReason, message };
}

/** The same where the agents of all mirrors do it. */
export function sharedRestoration({
  nodes,
  of,
}: {
  readonly nodes: readonly string[];
  readonly of: number;
}): Finding {
  const message = `${of - nodes.length} of ${of} nodes are restored`;
  return { type: 'NodesWired', status: 'False', reason: restoringReason, message };
}

/** The nodes whose agent is not done, as text; `unknown` where that cannot be read. */
export function unrestoredNodes(client: KubeClient, place: AgentPlace, signal: AbortSignal): Promise<string> {
  return nodesWithout(isReady, client, place, signal);
}
