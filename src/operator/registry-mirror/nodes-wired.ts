/** Condition `NodesWired`: from what the nodes' agents say, else from their DaemonSet. Pure. */
import type { NodeWiring } from '../../api/nodes.ts';
import type { Cause, NodesSummary } from '../node-reports/summary.ts';
import type { Finding } from './finding.ts';
import type { LiveDaemonSet, LiveObjects } from './live-objects.ts';

/** What agents said, and how the mirror's nodes are wired. */
export interface NodesTold {
  readonly summary: NodesSummary;
  readonly wire: NodeWiring['wire'];
}

/** Reasons that come from what agents say, or may. */
export const reportedReasons: ReadonlySet<string> = new Set([
  'Wired',
  'NodesNotWired',
  'NothingLive',
  'Unreachable',
  'NodesNotReady',
]);

const mostCauses = 5;
const mostNames = 3;

/** Whether the selected nodes are wired; nodes that left are told beside. */
export function nodesWired(live: LiveObjects, told?: NodesTold): Finding {
  const finding = selectedNodesWired(live, told);
  const { metadata, status } = live.restoreDaemonSet ?? {};
  if (metadata === undefined || metadata.deletionTimestamp !== undefined) return finding;
  const count = status?.observedGeneration
    ? `${status.desiredNumberScheduled ?? 0} nodes`
    : 'nodes that left';
  const message = `${finding.message}; ${count} are being restored`;
  return { ...finding, message };
}

/** Wired and selected nodes, `47/50`; undefined where there are no agents. */
export function nodesText(set: LiveDaemonSet | undefined, summary?: NodesSummary): string | undefined {
  if (set === undefined) return undefined;
  const { numberReady = 0, desiredNumberScheduled = 0 } = set.status ?? {};
  return `${summary === undefined ? numberReady : Math.min(summary.wired, desiredNumberScheduled)}/${desiredNumberScheduled}`;
}

function selectedNodesWired({ daemonSet }: LiveObjects, told: NodesTold | undefined): Finding {
  if (daemonSet === undefined) return nodes('Unknown', 'NotCreated', 'The DaemonSet does not exist yet');
  const { status, metadata } = daemonSet;
  if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 1)) {
    return nodes('Unknown', 'RolloutPending', 'The DaemonSet was not looked at by its controller yet');
  }
  const wanted = status?.desiredNumberScheduled ?? 0;
  const updated = status?.updatedNumberScheduled ?? 0;
  if (wanted === 0) return nodes('True', 'NoNodeSelected', 'No node is selected');
  if (told !== undefined) return toldWired(told, { wanted, updated });
  const ready = status?.numberReady ?? 0;
  const count = `${ready} of ${wanted} nodes are wired`;
  if (updated < wanted) return nodes('False', 'RollingOut', `${count}, ${updated} by the newest agent`);
  return ready < wanted ? nodes('False', 'NodesNotReady', count) : nodes('True', 'Wired', count);
}

function toldWired(
  { summary, wire }: NodesTold,
  { wanted, updated }: { readonly wanted: number; readonly updated: number },
): Finding {
  const wired = Math.min(summary.wired, wanted);
  const notLive = wire === 'transparent' ? summary.notLive : [];
  const count = `${wired}/${wanted} nodes wired`;
  const parts = [
    updated < wanted ? `${count}, ${updated} by the newest agent` : count,
    ...causesText(summary, wanted),
    ...(notLive.length > 0
      ? [`on ${named(`${notLive.length} nodes`, notLive)} no pull reaches the mirror`]
      : []),
  ];
  const message = parts.join('; ');
  if (updated < wanted) return nodes('False', 'RollingOut', message);
  if (wired < wanted) return nodes('False', whyNot(summary), message);
  return notLive.length > 0 ? nodes('False', 'NothingLive', message) : nodes('True', 'Wired', message);
}

function whyNot({ causes, unreachable }: NodesSummary): string {
  if (causes.length > 0) return 'NodesNotWired';
  return unreachable.length > 0 ? 'Unreachable' : 'NodesNotReady';
}

/** `2 x config_path unset, 1 x unreachable (node-a)`; one text, or none. */
function causesText({ causes, heard, unreachable }: NodesSummary, wanted: number): readonly string[] {
  const all = [...causes, ...(unreachable.length > 0 ? [{ text: 'unreachable', nodes: unreachable }] : [])];
  const sorted = all.sort(
    (one, other) => other.nodes.length - one.nodes.length || (one.text < other.text ? -1 : 1),
  );
  const more = sorted.length - mostCauses;
  const unheard = wanted - heard - unreachable.length;
  const texts = [
    ...sorted.slice(0, mostCauses).map(causeText),
    ...(unheard > 0 ? [`${unheard} x no report yet`] : []),
  ].join(', ');
  const text = more > 0 ? `${texts} and ${more} more` : texts;
  return text === '' ? [] : [text];
}

function causeText({ text, nodes: names }: Cause): string {
  return named(`${names.length} x ${text}`, names);
}

/** With the names of few. */
function named(text: string, names: readonly string[]): string {
  return names.length > mostNames ? text : `${text} (${names.join(', ')})`;
}

function nodes(status: Finding['status'], reason: string, message: string): Finding {
  return { type: 'NodesWired', status, reason, message };
}
