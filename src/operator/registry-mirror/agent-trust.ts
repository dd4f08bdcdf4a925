/** Whether the node agents of a mirror trust an authority: they were started with it and are ready. */
import type { KubeClient } from '../../kube/client.ts';
import { authorityAnnotation } from '../../resources/daemon-set.ts';
import { type AgentPlace, isReady, isRolledOut, nodesWithout } from './agent-pods.ts';
import type { LiveDaemonSet } from './live-objects.ts';

/** True when every selected node's agent was started with the authority of this mark, and has made its pass. */
export function agentsTrust(set: LiveDaemonSet | undefined, mark: string): boolean {
  if (set === undefined || set.metadata.deletionTimestamp !== undefined) return false;
  return set.spec?.template?.metadata?.annotations?.[authorityAnnotation] === mark && isRolledOut(set);
}

/** The nodes whose agent does not trust the authority yet, as text; `unknown` where that cannot be read. One request. */
export function nodesBehind(
  client: KubeClient,
  { mark, ...place }: AgentPlace & { readonly mark: string },
  signal: AbortSignal,
): Promise<string> {
  return nodesWithout(
    (pod) => isReady(pod) && pod.metadata.annotations?.[authorityAnnotation] === mark,
    client,
    place,
    signal,
  );
}
