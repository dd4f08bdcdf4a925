/**
 * Nodes that leave the selection of a living mirror are given back. Which ones is written on the wiring DaemonSet together
 * with its new placement, in one write; once its agents are gone from them, a second DaemonSet restores them and goes.
 * Each step follows from what exists, so that it can be begun again at any point. Pure; `nodes-phase.ts` takes the steps.
 */
import { group } from '../../api/kind.ts';
import { agentNodes } from '../../resources/agent-nodes.ts';
import { isRolledOut } from './agent-pods.ts';
import type { LiveDaemonSet, LiveObjects } from './live-objects.ts';
import { leaving, type Placement, placementOf, samePlacement, type Term } from './placement.ts';
import { restoreLimitMs, startOf } from './restoration.ts';

/** On the wiring DaemonSet while nodes are to be restored, and on the one that does it: a `LeavingNodes` as JSON. */
export const leavingAnnotation = `${group}/leaving-nodes`;

/** A pod that is told to go has 30 s; one that is still there after this time is on a node that does not answer. */
export const releaseLimitMs = 60_000;
/** Agents follow their list within a minute and a half, wherever they get it from; one that says nothing for so long is on such a node, too. */
export const handOverLimitMs = 300_000;
/** What agents say is no event. */
const lookAgainMs = 5_000;

/** The nodes that are to be restored. */
export interface LeavingNodes {
  /** When the selection left them. */
  readonly since: string;
  readonly terms: readonly Term[];
}

/** What is to be done about nodes that left. */
export type LeavingPlan =
  /** No node is to be restored, and nobody may. */
  | { readonly step: 'none' }
  /** Which nodes leave cannot be said in terms: the selection must not change so. */
  | { readonly step: 'refuse' }
  | Release
  | Restore
  /** What was to be done is done; `unreached`: or the time is up. */
  | { readonly step: 'finish'; readonly unreached: boolean };

/** The wiring agents have to go first; nobody may restore yet. */
interface Release {
  readonly step: 'release';
  readonly nodes: LeavingNodes;
  /** When to look again, in milliseconds since the epoch. */
  readonly checkAt?: number;
}

/** Agents restore. */
export interface Restore {
  readonly step: 'restore';
  readonly nodes: LeavingNodes;
  /** When they began. */
  readonly since: string;
  readonly checkAt: number;
}

/**
 * Decides from what exists and from the spec of the pods that are to wire. `othersWire`: true while agents of another DaemonSet may be told of the
 * mirror since that time (milliseconds since the epoch): they would wire again what is restored.
 */
export function planLeaving(
  live: LiveObjects,
  podSpec: Readonly<Record<string, unknown>> | undefined,
  now: Date,
  othersWire: (since: number) => boolean = () => false,
): LeavingPlan {
  const { daemonSet, restoreDaemonSet } = live;
  const is = placementOf(podSpec);
  const open = anchored(recordOf(daemonSet ?? restoreDaemonSet), now);
  if (daemonSet === undefined || !samePlacement(placementOf(daemonSet.spec?.template?.spec), is)) {
    return planChange(daemonSet, open, is, now);
  }
  if (open === undefined) return { step: 'none' };
  const next = planNext(daemonSet, restoreDaemonSet, open, now);
  const since = Date.parse(open.since);
  if (next.step !== 'restore' || restoreDaemonSet !== undefined || since + handOverLimitMs <= now.getTime())
    return next;
  return othersWire(since) ? { step: 'release', nodes: open, checkAt: now.getTime() + lookAgainMs } : next;
}

/** A clock that was set back makes no wait longer: a time that is to come is now, and is noted as that. */
function anchored(open: LeavingNodes | undefined, now: Date): LeavingNodes | undefined {
  return open !== undefined && Date.parse(open.since) > now.getTime()
    ? { ...open, since: now.toISOString() }
    : open;
}

/** Nodes that were still open stay so unless they are selected again. */
function planChange(
  daemonSet: LiveDaemonSet | undefined,
  open: LeavingNodes | undefined,
  is: Placement,
  now: Date,
): LeavingPlan {
  const was =
    daemonSet === undefined || isUnwired(daemonSet) ? [] : [placementOf(daemonSet.spec?.template?.spec)];
  const stillOpen = open === undefined ? [] : [{ nodeSelector: {}, terms: open.terms }];
  const terms = leaving([...was, ...stillOpen].map(withAgents), is);
  if (terms === undefined) return { step: 'refuse' };
  if (terms.length === 0) return { step: 'none' };
  return { step: 'release', nodes: { since: now.toISOString(), terms } };
}

function planNext(
  daemonSet: LiveDaemonSet,
  restoring: LiveDaemonSet | undefined,
  nodes: LeavingNodes,
  now: Date,
): LeavingPlan {
  // One that is about other nodes is left from before.
  if (restoring !== undefined && textOf(restoring) === textOf(daemonSet)) {
    if (isRolledOut(restoring)) return { step: 'finish', unreached: false };
    const since = startOf(restoring, now);
    const checkAt = since + restoreLimitMs;
    if (checkAt <= now.getTime()) return { step: 'finish', unreached: true };
    return { step: 'restore', nodes, since: new Date(since).toISOString(), checkAt };
  }
  const { observedGeneration = 0, numberMisscheduled = 0 } = daemonSet.status ?? {};
  // Its end is an event.
  if (observedGeneration < (daemonSet.metadata.generation ?? 1)) return { step: 'release', nodes };
  const releaseBy = Date.parse(nodes.since) + releaseLimitMs;
  // Agents also count where a taint came after them, and those stay.
  if (numberMisscheduled > 0 && releaseBy > now.getTime())
    return { step: 'release', nodes, checkAt: releaseBy };
  return { step: 'restore', nodes, since: now.toISOString(), checkAt: now.getTime() + restoreLimitMs };
}

/** Agents run on Linux only, and on nodes that can run them, whatever an earlier operator's DaemonSet or the user selected. */
function withAgents({ nodeSelector, terms }: Placement): Placement {
  const always = [{ key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }, ...agentNodes];
  const both = (term: Term) => ({ ...term, matchExpressions: [...(term.matchExpressions ?? []), ...always] });
  return { nodeSelector, terms: terms === undefined ? [both({})] : terms.filter(isNotEmpty).map(both) };
}

/** An empty term selects no node; with another requirement it would. */
function isNotEmpty({ matchExpressions = [], matchFields = [] }: Term): boolean {
  return matchExpressions.length + matchFields.length > 0;
}

/** A mirror that was held back: all its nodes are restored already. */
function isUnwired(daemonSet: LiveDaemonSet): boolean {
  const { containers = [] } = (daemonSet.spec?.template?.spec ?? {}) as {
    containers?: readonly { env?: readonly { name: string; value?: string }[] }[];
  };
  const restores = containers.some(({ env }) =>
    env?.some(({ name, value }) => name === 'NODE_AGENT_MODE' && value === 'restore'),
  );
  return restores && isRolledOut(daemonSet);
}

function textOf({ metadata }: LiveDaemonSet): string | undefined {
  return metadata.annotations?.[leavingAnnotation];
}

/** One that somebody made unreadable is none. */
function recordOf(daemonSet: LiveDaemonSet | undefined): LeavingNodes | undefined {
  const text = daemonSet && textOf(daemonSet);
  if (text === undefined) return undefined;
  try {
    const { since, terms } = JSON.parse(text) as LeavingNodes;
    return Array.isArray(terms) && Number.isFinite(Date.parse(since)) ? { since, terms } : undefined;
  } catch {
    return undefined;
  }
}
