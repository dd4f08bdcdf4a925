/**
 * Brings shared agents a new list of mirrors at once, and hears what becomes of it: kubelets bring it too, but up to a minute and a half later
 * (docs/adr/0019). Who cannot be brought one waits for its kubelet.
 */
import type { BroughtList } from '../../api/node-mirror.ts';
import { type NodeReport, reachesMirror } from '../../api/node-report.ts';
import { pauseUntil } from '../../cache/pause.ts';
import { eachOf } from '../polling/rounds.ts';
import type { KnownAgent } from './known-agents.ts';
import type { NodeAgent } from './node-agents.ts';

/** The list that is in force. */
export interface DeliveredList extends BroughtList {
  readonly version: number;
  /** Mirrors of which nothing is to be left on nodes. */
  readonly gone: readonly string[];
}

export interface ListDeliveryOptions {
  readonly agents: () => readonly KnownAgent[];
  /** Asks one for its report, which is then known of it, and brings it what is `missingTo` it; never rejects. */
  readonly visit: (agent: NodeAgent, signal: AbortSignal) => Promise<unknown>;
  /** What agents said may be news. */
  readonly visited: () => void;
  readonly now: () => number;
  /** Of the first pause, in milliseconds; later ones are up to five times as long. */
  readonly pauseMs: number;
}

/** So long after a change agents are asked every few seconds: the slowest pod of a mirror is not waited for here. */
const hurryMs = 60_000;
const parallel = 50;
const idleMs = 86_400_000;

export class ListDelivery {
  readonly #options: ListDeliveryOptions;
  #list: DeliveredList | undefined;
  #woken = Promise.withResolvers<void>();
  #isNew = false;
  #hurriesUntil = 0;

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

  /** What an agent with this report is to be brought; undefined where it has that, or cannot take it. */
  missingTo(agent: NodeAgent, { list }: NodeReport): DeliveredList | undefined {
    const isBehind = agent.mirror === undefined && list !== undefined && list < (this.#list?.version ?? 0);
    return isBehind ? this.#list : undefined;
  }

  /** Until `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { agents, visit, visited, now } = this.#options;
    let pauseMs = idleMs;
    while (await pauseUntil(this.#woken.promise, pauseMs, signal)) {
      this.#woken = Promise.withResolvers();
      const wanted = now() < this.#hurriesUntil ? agents().filter((one) => this.#isUnsettled(one)) : [];
      pauseMs = this.#nextPause(pauseMs, wanted.length);
      await eachOf(wanted, parallel, ({ agent }) => visit(agent, signal).then(() => undefined));
      if (wanted.length > 0 && !signal.aborted) visited();
    }
  }

  #nextPause(before: number, wanted: number): number {
    const { pauseMs } = this.#options;
    const isNew = this.#isNew;
    this.#isNew = false;
    if (wanted === 0) return idleMs;
    return isNew || before === idleMs ? pauseMs : Math.min(before * 1.5, pauseMs * 5);
  }

  /** It has another list, or is not done with this one. Those that do not answer are asked in rounds. */
  #isUnsettled({ agent, report, failingSince }: KnownAgent): boolean {
    if (agent.endpoint === undefined || report?.list === undefined || failingSince !== undefined)
      return false;
    if (this.missingTo(agent, report) !== undefined) return true;
    const isDone = report.mirrors.every((mirror) => mirror.complete && reachesMirror(mirror));
    return !isDone || (report.owners ?? []).some((name) => this.#list?.gone.includes(name));
  }
}
