/** What the status says of a mirror's nodes: the condition and the count, and when nodes last asked the mirror. Pure. */
import { storedFinding } from '../../api/conditions.ts';
import type { NodeWiring } from '../../api/nodes.ts';
import type { RegistryMirrorStatus } from '../../api/registry-mirror.ts';
import type { NodeOfMirror } from '../node-reports/known-agents.ts';
import { summaryOf } from '../node-reports/summary.ts';
import type { Finding } from './finding.ts';
import type { LiveObjects } from './live-objects.ts';
import { nodesText, nodesWired, reportedReasons } from './nodes-wired.ts';

export interface NodesState {
  /** `NodesWired`. */
  readonly finding: Finding;
  /** Wired and selected nodes, `47/50`. */
  readonly nodes?: string | undefined;
  /** When the forwarder of any node was last used. */
  readonly lastUsed?: string | undefined;
  /** It comes from what agents say: what is merely counted there changes all the time. */
  readonly told: boolean;
}

/** What it depends on. */
export interface NodesFacts {
  readonly live: LiveObjects;
  /** What agents say; `unasked`: they will be asked soon; undefined: nobody asks them. */
  readonly told: readonly NodeOfMirror[] | 'unasked' | undefined;
  readonly wire: NodeWiring['wire'];
  readonly stored: RegistryMirrorStatus | undefined;
}

/**
 * What agents say, where there is one that can be asked: that their pods are ready tells nothing of a mirror that is new to them. An operator
 * that starts believes what is stored until it has asked, where that may still hold.
 */
export function nodesState({ live, told, wire, stored }: NodesFacts): NodesState {
  if (told === 'unasked') return unasked(live, stored);
  const summary = told?.some(mayTell) ? summaryOf(told) : undefined;
  const finding = nodesWired(live, summary && { summary, wire });
  const nodes = nodesText(live.daemonSet, summary);
  return { finding, nodes, lastUsed: summary?.lastUsed, told: summary !== undefined };
}

function unasked(live: LiveObjects, stored: RegistryMirrorStatus | undefined): NodesState {
  const finding = nodesWired(live);
  const before = storedFinding(stored?.conditions, finding.type);
  if (before && reportedReasons.has(before.reason) && reportedReasons.has(finding.reason))
    return { finding: before, nodes: stored?.nodes, told: true };
  const nodes = nodesText(live.daemonSet);
  if (finding.reason !== 'Wired') return { finding, nodes, told: false };
  const message = 'The nodes’ agents were not asked yet';
  return { finding: { ...finding, status: 'Unknown', reason: 'NotAsked', message }, nodes, told: false };
}

/** One of an earlier version cannot be asked. */
function mayTell({ agent, state }: NodeOfMirror): boolean {
  return agent.endpoint !== undefined || state !== 'unheard';
}
