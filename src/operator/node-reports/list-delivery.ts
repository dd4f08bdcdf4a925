/**
 * Brings shared agents a new list of mirrors at once, and hears what becomes of it: kubelets bring it too, but up to a minute and a half later
 * (docs/adr/0019). Who cannot be brought one waits for its kubelet.
 */
import type { BroughtList } from '../../api/node-mirror.ts';
import { type NodeReport, reachesMirror } from '../../api/node-report.ts';
import { pauseUntil } from '../../cache/pause.ts';
import { errorMessage } from '../../observe/error-message.ts';
import type { Logger } from '../../observe/log.ts';
import { eachOf } from '../polling/rounds.ts';
import type { AgentAnswer, AgentRequest } from './ask-agent.ts';
import type { KnownAgent } from './known-agents.ts';
import type { AgentEndpoint, NodeAgent } from './node-agents.ts';

/** The list that is in force. */
export interface DeliveredList extends BroughtList {
  readonly version: number;
  /** Mirrors of which nothing is to be left on nodes. */
  readonly gone: readonly string[];
}

export interface ListDeliveryOptions {
  readonly agents: () => readonly KnownAgent[];
  /** Asks one for anything; rejects where it does not answer. */
  readonly ask: (endpoint: AgentEndpoint, asked: AgentRequest, signal: AbortSignal) => Promise<AgentAnswer>;
  /** Asks one for its report, which is then known of it, and has `bring` called; never rejects. */
  readonly visit: (agent: NodeAgent, signal: AbortSignal) => Promise<unknown>;
  /** What agents said may be news. */
  readonly visited: () => void;
  readonly logger: Logger;
  readonly now: () => number;
  /** Of the first pause, in milliseconds; later ones are twice as long, or as long as it took to ask them all. */
  readonly pauseMs: number;
}

/** So long after a change agents are asked every few seconds: the slowest pod of a mirror is not waited for here. */
const hurryMs = 60_000;
/** Who wires a mirror may be too busy to answer at once. */
const busyMs = 10_000;
const parallel = 50;
const idleMs = 86_400_000;

export class ListDelivery {
  readonly #options: ListDeliveryOptions;
  #list: DeliveredList | undefined;
  #woken = Promise.withResolvers<void>();
  #isNew = false;
  #hurriesUntil = 0;
  /** Version of the list that an agent could not be brought: told once. */
  #notBrought = 0;

  constructor(options: ListDeliveryOptions) {
    this.#options = options;
  }

  /** From now on this list is in force. */
  deliver(list: DeliveredList): void {
    if (list.version === this.#list?.version) return;
    this.#list = list;
    this.#hurriesUntil = this.#options.now() + hurryMs;
    this.wake();
  }

  /** There may be agents that were not known before. */
  wake(): void {
    this.#isNew = true;
    this.#woken.resolve();
  }

  /** Brings an agent with this report the list where it has an older one and can take it; never rejects. */
  async bring(agent: NodeAgent, report: NodeReport, signal: AbortSignal): Promise<void> {
    const list = this.#missingTo(agent, report);
    if (list === undefined || agent.endpoint === undefined) return;
    const { ask, logger } = this.#options;
    try {
      const asked = { method: 'POST', path: '/list', body: { files: list.files } } as const;
      const { status } = await ask(agent.endpoint, asked, signal);
      if (status !== 202) throw new Error(`expected 202, got ${status}`);
    } catch (error) {
      if (signal.aborted || this.#notBrought === list.version) return;
      this.#notBrought = list.version;
      const fields = { node: agent.node, detail: errorMessage(error) };
      logger.warn(fields, 'Could not bring an agent the list of mirrors');
    }
  }

  /** Until `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { agents, visit, visited, now } = this.#options;
    let pauseMs = idleMs;
    while (await pauseUntil(this.#woken.promise, pauseMs, signal)) {
      this.#woken = Promise.withResolvers();
      const wanted = now() < this.#hurriesUntil ? agents().filter((one) => this.#isUnsettled(one)) : [];
      const began = performance.now();
      const next = this.#nextPause(pauseMs, wanted.length);
      await eachOf(wanted, parallel, ({ agent }) => visit(agent, signal).then(() => undefined));
      pauseMs = Math.max(next, performance.now() - began);
      if (wanted.length > 0 && !signal.aborted) visited();
    }
  }

  /** Undefined where it has that, or is of a version that takes none. */
  #missingTo(agent: NodeAgent, { list }: NodeReport): DeliveredList | undefined {
    const isBehind = agent.mirror === undefined && list !== undefined && list < (this.#list?.version ?? 0);
    return isBehind ? this.#list : undefined;
  }

  #nextPause(before: number, wanted: number): number {
    const { pauseMs } = this.#options;
    const isNew = this.#isNew;
    this.#isNew = false;
    if (wanted === 0) return idleMs;
    return isNew || before === idleMs ? pauseMs : pauseMs * 2;
  }

  /** It has another list, or is not done with this one. Those that do not answer for long are asked in rounds. */
  #isUnsettled({ agent, report, failingSince = Number.POSITIVE_INFINITY }: KnownAgent): boolean {
    if (agent.endpoint === undefined || report?.list === undefined) return false;
    if (failingSince + busyMs <= this.#options.now()) return false;
    if (this.#missingTo(agent, report) !== undefined) return true;
    const isDone = report.mirrors.every((mirror) => mirror.complete && reachesMirror(mirror));
    // An agent that could not look may have any of them.
    const { gone = [] } = this.#list ?? {};
    return !isDone || (report.owners ?? gone).some((name) => gone.includes(name));
  }
}
