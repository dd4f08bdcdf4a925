/** Which nodes may restart a container runtime now, and what became of those that did. Pure. */
import type { Runtime } from '../../api/node-mirror.ts';
import type { RuntimeOnNode } from '../../api/node-report.ts';
import type { NodeOfMirror } from '../node-reports/known-agents.ts';
import type { AgentEndpoint } from '../node-reports/node-agents.ts';

/** A restart that was allowed. */
export interface Permit {
  readonly mirror: string;
  readonly node: string;
  readonly runtime: Runtime;
  /** In milliseconds since the epoch. */
  readonly since: number;
  readonly generation: number | undefined;
  /** False: whether the agent has heard of it is not known. */
  readonly accepted: boolean;
}

export interface RestartState {
  /** Nodes that are restarting a runtime. */
  readonly running: readonly Permit[];
  /** Nodes that did not come back live: nothing more is restarted for their mirrors. */
  readonly stuck: readonly Permit[];
}

/** A mirror, and its nodes by name. */
export interface RestartingMirror {
  readonly name: string;
  /** It wants runtimes to be restarted; false: it did. */
  readonly restarts: boolean;
  readonly generation: number | undefined;
  readonly nodes: readonly NodeOfMirror[];
}

export interface Candidate {
  readonly mirror: string;
  readonly node: string;
  readonly runtime: Runtime;
  readonly generation: number | undefined;
  readonly endpoint: AgentEndpoint;
}

export interface RestartFacts {
  readonly mirrors: readonly RestartingMirror[];
  /** Of all mirrors together. */
  readonly selectedNodes: number;
  /** When a node's agent last refused to restart anything, in milliseconds since the epoch. */
  readonly refused: ReadonlyMap<string, number>;
  /** When this operator began to lead: restarts that another one allowed before may be under way. */
  readonly began: number;
  readonly now: number;
}

/** A node that is not live after so long is not waited for. Milliseconds. */
export const restartLimitMs = 300_000;

/** What became of the permits, and to whom the next may be given, in order. */
export function planRestarts(
  state: RestartState,
  facts: RestartFacts,
): { readonly state: RestartState; readonly allow: readonly Candidate[] } {
  const anchor = (permits: readonly Permit[]) => permits.map((permit) => anchored(permit, facts));
  const open = anchor(state.running).filter((permit) => !isOver(permit, facts));
  const isLate = ({ since }: Permit) => facts.now - since >= restartLimitMs;
  const running = open.filter((permit) => !isLate(permit));
  const late = open.filter((permit) => isLate(permit) && wasTaken(permit, facts));
  const stuck = [...anchor(state.stuck), ...late].filter((permit) => isStuck(permit, facts));
  const next = { running, stuck };
  return { state: next, allow: candidates(next, facts) };
}

/** A clock that was set back makes nobody wait longer. */
function anchored(permit: Permit, { now }: RestartFacts): Permit {
  return permit.since > now ? { ...permit, since: now } : permit;
}

/** At least one node, at most 1 % of those that are selected. */
export function restartLimit(selectedNodes: number): number {
  return Math.max(1, Math.floor(selectedNodes / 100));
}

/** It is live, or nobody waits for it any more: the mirror, or its agent on the node, is gone for longer than a rollout takes. */
function isOver(permit: Permit, facts: RestartFacts): boolean {
  const found = nodeOf(permit, facts);
  if (found === undefined) return facts.now - permit.since >= restartLimitMs;
  return isLiveSince(permit, found);
}

/** An agent that never heard of its permit says so by still waiting for one. */
function wasTaken(permit: Permit, facts: RestartFacts): boolean {
  const { report } = nodeOf(permit, facts) ?? {};
  const runtime = report?.runtimes.find((one) => one.runtime === permit.runtime);
  return permit.accepted || runtime?.restartNeeded !== true;
}

function isStuck(permit: Permit, facts: RestartFacts): boolean {
  const mirror = facts.mirrors.find(({ name }) => name === permit.mirror);
  const found = nodeOf(permit, facts);
  if (mirror === undefined || found === undefined || mirror.generation !== permit.generation) return false;
  return !isLiveSince(permit, found);
}

function isLiveSince({ runtime, since }: Permit, { report, reportedAt = 0 }: NodeOfMirror): boolean {
  return reportedAt > since && (report?.runtimes.some((one) => one.runtime === runtime && one.live) ?? false);
}

function nodeOf({ mirror, node }: Permit, { mirrors }: RestartFacts): NodeOfMirror | undefined {
  return mirrors.find(({ name }) => name === mirror)?.nodes.find((one) => one.node === node);
}

function candidates({ running, stuck }: RestartState, facts: RestartFacts): readonly Candidate[] {
  const busy = new Set([...running.map(({ node }) => node), ...inherited(facts)]);
  const blocked = new Set(stuck.map(({ mirror }) => mirror));
  const byNode = new Map<string, Candidate>();
  for (const mirror of facts.mirrors.filter(({ name, restarts }) => restarts && !blocked.has(name))) {
    for (const one of waitingOn(mirror))
      if (!busy.has(one.node) && !byNode.has(one.node)) byNode.set(one.node, one);
  }
  const free = Math.max(0, restartLimit(facts.selectedNodes) - busy.size);
  const refusedAt = ({ node }: Candidate) => facts.refused.get(node) ?? 0;
  return [...byNode.values()]
    .sort((one, other) => refusedAt(one) - refusedAt(other) || (one.node < other.node ? -1 : 1))
    .slice(0, free);
}

/** What it takes a runtime to come back was allowed by another leader a moment ago, perhaps: it counts as long as that may be. */
function inherited({ mirrors, began, now }: RestartFacts): readonly string[] {
  if (now - began >= restartLimitMs) return [];
  const isComing = ({ wired, live, restartNeeded }: RuntimeOnNode) => wired && !live && !restartNeeded;
  return mirrors.flatMap(({ nodes }) =>
    nodes.filter(({ report }) => report?.runtimes.some(isComing)).map(({ node }) => node),
  );
}

function waitingOn({ name, generation, nodes }: RestartingMirror): readonly Candidate[] {
  return nodes.flatMap(({ node, agent: { endpoint }, report }) => {
    const waiting = report?.runtimes.find(({ restartNeeded }) => restartNeeded === true);
    if (waiting === undefined || endpoint === undefined) return [];
    return [{ mirror: name, node, runtime: waiting.runtime, generation, endpoint }];
  });
}
