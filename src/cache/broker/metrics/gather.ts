/** Asks a cache's other broker processes for their reports and adds them to one's own. */
import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { elapsedMs } from '../../../registry/elapsed.ts';
import { type CacheReport, parseCacheReport } from '../../cache-report.ts';
import { mergeReports, ProcessTotals, withFormer } from './totals.ts';

/** A process that is busy for longer than this is counted with what it said before. Milliseconds. */
const timeoutMs = 1_000;
/** Everybody who asks within this time gets the same answer. Milliseconds. */
const sharedMs = 200;

export interface Gathered {
  readonly report: CacheReport;
  readonly processes: number;
  /** Those that answered, the own one included. */
  readonly answering: number;
}

export interface GathererOptions {
  /** The report of the process that gathers. */
  readonly own: () => CacheReport;
  /** Sockets of the other processes. */
  readonly others: () => readonly string[];
  readonly now?: () => number;
}

export class Gatherer {
  readonly #options: GathererOptions;
  readonly #totals = new Map<string, ProcessTotals>();
  #latest: { readonly at: number; readonly gathered: Promise<Gathered> } | undefined;

  constructor(options: GathererOptions) {
    this.#options = options;
  }

  /** Never rejects: what a process said last stands for one that does not answer. */
  gather(): Promise<Gathered> {
    const now = (this.#options.now ?? elapsedMs)();
    if (this.#latest === undefined || now >= this.#latest.at + sharedMs) {
      this.#latest = { at: now, gathered: this.#gather() };
    }
    return this.#latest.gathered;
  }

  async #gather(): Promise<Gathered> {
    const sockets = this.#options.others();
    const answers = await Promise.all(sockets.map((socket) => this.#ask(socket)));
    const own = this.#totalsOf('').take(this.#options.own());
    const known = sockets.map((socket) => this.#totalsOf(socket).total).filter((one) => one !== undefined);
    return {
      report: withFormer(mergeReports([own, ...known]), this.#former(sockets)),
      processes: sockets.length + 1,
      answering: answers.filter(Boolean).length + 1,
    };
  }

  async #ask(socket: string): Promise<boolean> {
    try {
      this.#totalsOf(socket).take(parseCacheReport(await statusOf(socket)));
      return true;
    } catch {
      return false;
    }
  }

  /** Of processes that there were before `spec.broker.processes` was lowered. */
  #former(sockets: readonly string[]): CacheReport[] {
    return [...this.#totals]
      .filter(([process]) => process !== '' && !sockets.includes(process))
      .flatMap(([, { total }]) => total ?? []);
  }

  #totalsOf(process: string): ProcessTotals {
    const known = this.#totals.get(process) ?? new ProcessTotals();
    this.#totals.set(process, known);
    return known;
  }
}

function statusOf(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    get({ socketPath, path: '/-/status', agent: false, signal }, (response) => {
      text(response).then(resolve, reject);
    }).on('error', reject);
  });
}
