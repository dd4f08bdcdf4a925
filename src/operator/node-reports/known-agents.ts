/** What is known of every node agent, and who is asked next. Knows no network. */
import { type MirrorOnNode, type NodeReport, reachesMirror } from '../../api/node-report.ts';
import { keptMs } from '../polling/rounds.ts';
import type { NodeAgent } from './node-agents.ts';

/** One agent and its last word; times in milliseconds since the epoch. */
export interface KnownAgent {
  readonly agent: NodeAgent;
  readonly report?: NodeReport;
  /** When the report was asked for. */
  readonly reportedAt?: number;
  /** When it was last asked, whatever came of it, and the pod's version then. */
  readonly askedAt?: number;
  readonly askedVersion?: string;
  /** Since when it does not answer. */
  readonly failingSince?: number;
}

/** One node as one mirror sees it. */
export interface NodeOfMirror {
  readonly node: string;
  readonly agent: NodeAgent;
  /** `unheard`: its agent has not told of this mirror yet. */
  readonly state: 'heard' | 'unheard' | 'unreachable';
  /** The last word, where it is `heard`. */
  readonly report?: MirrorOnNode;
  /** When that was asked for, in milliseconds since the epoch. */
  readonly reportedAt?: number;
}

/** A mirror, and what of the words of shared agents counts. */
interface AskedMirror {
  readonly mirror: string;
  readonly isShared?: boolean;
  /** Version of the list. */
  readonly since?: number | undefined;
}

/** From when on the word of an agent counts. */
export interface Since {
  /** Version of the list; absent: it is not known. */
  readonly version?: number | undefined;
  /** In milliseconds since the epoch, for an agent that tells no version of its list: it may be given an older one yet. */
  readonly at: number;
}

/** Of those that are known and well: 5000 nodes are all asked within five minutes. */
export const wellPerRound = 500;
/** No answer takes so long. */
const crossingMs = 10_000;
/** So long an agent that does not answer may only just be starting. */
const startingMs = 60_000;
/** A new node that is not wired yet is awaited; later that is its state. */
const youngMs = 600_000;

export class KnownAgents {
  #known = new Map<string, KnownAgent>();

  /** Takes over who is there; who is gone is forgotten. */
  sync(agents: readonly NodeAgent[]): void {
    this.#known = new Map(agents.map((agent) => [agent.pod, { ...this.#known.get(agent.pod), agent }]));
  }

  all(): readonly KnownAgent[] {
    return [...this.#known.values()];
  }

  /** An agent has answered; `now` is when it was asked. Of two answers that cross each other the later one counts; a clock may be set back by more. */
  heard({ pod, version }: NodeAgent, report: NodeReport, now: number): void {
    const known = this.#known.get(pod);
    const { reportedAt = now } = known ?? {};
    if (known === undefined || (reportedAt > now && reportedAt < now + crossingMs)) return;
    const { failingSince: _over, ...rest } = known;
    this.#known.set(pod, { ...rest, report, reportedAt: now, askedAt: now, askedVersion: version });
  }

  /** An agent has not answered, or not as agents do; true where it did before. */
  failed({ pod, version }: NodeAgent, now: number): boolean {
    const known = this.#known.get(pod);
    if (known === undefined) return false;
    const { failingSince = now } = known;
    this.#known.set(pod, { ...known, failingSince, askedAt: now, askedVersion: version });
    return known.failingSince === undefined;
  }

  /**
   * The nodes on which the mirror has an agent, by name; `isShared`: those are the shared ones, also where they have not told of it; `since`: those
   * that went by an older list have told nothing of it as it is now.
   */
  of(mirror: string, now: number, options: Omit<AskedMirror, 'mirror'> = {}): readonly NodeOfMirror[] {
    return this.all()
      .flatMap((known) => nodeOfMirror(known, { mirror, ...options }, now) ?? [])
      .sort((one, other) => (one.node < other.node ? -1 : 1));
  }

  /** True while an agent that is not known to fail has not told yet, or its node is only just being wired; one that starts is asked too early. */
  hasNews(now: number): boolean {
    // A pod without an address, because no kubelet has taken it, cannot be asked at all.
    const mayAnswer = ({ agent, failingSince }: KnownAgent) =>
      (agent.endpoint !== undefined && failingSince === undefined) || now - agent.createdAt < startingMs;
    // A pod that lasts unready while its agent answers is a node whose kubelet is away: that is no news.
    const isNews = ({ agent, report }: KnownAgent) =>
      agent.ready || report === undefined || now - agent.createdAt < youngMs;
    return this.all().some((one) => mayAnswer(one) && isNews(one) && presses(one, now));
  }

  /** Nodes of shared agents that have not said since then that nothing of the mirror is left; with how many such agents there are. */
  holding(mirror: string, since: Since): { readonly nodes: readonly string[]; readonly of: number } {
    const shared = this.all().filter(({ agent }) => agent.mirror === undefined);
    const isHolding = (known: KnownAgent) =>
      !hasTold(known, since) ||
      known.report?.owners === undefined ||
      known.report.owners.includes(mirror) ||
      lists(known, mirror);
    const nodes = shared.filter(isHolding).map(({ agent }) => agent.node);
    return { nodes: nodes.sort(), of: shared.length };
  }

  /** Nodes of shared agents that have not said since then that they are told nothing of the mirror. */
  listing(mirror: string, since: Since): readonly string[] {
    const isListing = (known: KnownAgent) =>
      known.agent.mirror === undefined && (!hasTold(known, since) || lists(known, mirror));
    return this.all().flatMap((known) => (isListing(known) ? [known.agent.node] : []));
  }

  /** Every mirror that is named by a pod or a report. */
  mirrors(): ReadonlySet<string> {
    const named = this.all().flatMap(({ agent, report }) =>
      agent.mirror === undefined ? (report?.mirrors.map(({ name }) => name) ?? []) : [agent.mirror],
    );
    return new Set(named);
  }
}

/** Whom to ask in a round, in this order: `pressing` as long as there is time, `well` in any case. Pure. */
export function whomToAsk(
  known: readonly KnownAgent[],
  now: number,
  awaited: ReadonlySet<string> = new Set(),
): { readonly pressing: readonly NodeAgent[]; readonly well: readonly NodeAgent[] } {
  const sorted = known
    .filter(({ agent }) => agent.endpoint !== undefined)
    .sort((one, other) => (one.askedAt ?? 0) - (other.askedAt ?? 0));
  const isPressing = (one: KnownAgent) => awaited.has(one.agent.node) || presses(one, now);
  const agents = (all: readonly KnownAgent[]) => all.map(({ agent }) => agent);
  return {
    pressing: agents(sorted.filter(isPressing)),
    well: agents(sorted.filter((one) => !isPressing(one))).slice(0, wellPerRound),
  };
}

function presses({ agent, report, askedVersion, failingSince }: KnownAgent, now: number): boolean {
  if (report === undefined || failingSince !== undefined) return true;
  if (!agent.ready || askedVersion !== agent.version) return true;
  return (
    now - agent.createdAt < youngMs &&
    !report.mirrors.every((mirror) => mirror.complete && reachesMirror(mirror))
  );
}

/** What an agent said by an older list is no word on what it does by this one, whenever it said so. */
function hasTold({ report, reportedAt = 0 }: KnownAgent, { at, version }: Since): boolean {
  if (report?.list !== undefined && version !== undefined) return report.list >= version;
  return report !== undefined && reportedAt >= at;
}

function lists({ report }: KnownAgent, mirror: string): boolean {
  return report?.mirrors.some(({ name }) => name === mirror) ?? false;
}

function nodeOfMirror(
  known: KnownAgent,
  { mirror, isShared = false, since = 0 }: AskedMirror,
  now: number,
): NodeOfMirror | undefined {
  const { agent, report, reportedAt, failingSince } = known;
  const told = report?.mode === 'wire' ? report.mirrors.find(({ name }) => name === mirror) : undefined;
  const isOurs = agent.mirror === undefined ? isShared || told !== undefined : agent.mirror === mirror;
  if (!isOurs) return undefined;
  const { node } = agent;
  const isOld = agent.mirror === undefined && (report?.list ?? Number.POSITIVE_INFINITY) < since;
  if (failingSince !== undefined && now - failingSince >= keptMs)
    return { node, agent, state: 'unreachable' };
  if (told === undefined || reportedAt === undefined || isOld) return { node, agent, state: 'unheard' };
  return { node, agent, state: 'heard', report: told, reportedAt };
}
