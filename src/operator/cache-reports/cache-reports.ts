/**
 * Polls what cache replicas say of themselves, keeps the newest of it, and tells which mirrors have to be looked at again. The main
 * file of this folder; runs beside the reconciler, which only reads from it.
 */
import { errorMessage } from '../../observe/error-message.ts';
import type { Logger } from '../../observe/log.ts';
import type { LiveView } from '../live-view.ts';
import { eachOf, inRounds, keptMs, type Pause } from '../polling/rounds.ts';
import { type CacheEndpoint, cacheEndpoints } from './cache-endpoints.ts';
import { cacheState } from './cache-state.ts';
import { fetchReport as askPod, type FetchReport } from './fetch-report.ts';
import type { ReplicaReport } from './replica-report.ts';

export interface CacheReportsOptions {
  readonly endpointSlices: LiveView;
  /** What the status of this mirror says of its cache is out of date. */
  readonly changed: (mirror: string) => void;
  /** A replica has found more cached objects that are not what their digest says. */
  readonly corrupt: (mirror: string, found: ReplicaReport) => void;
  readonly logger: Logger;
  readonly fetchReport?: FetchReport;
  readonly now?: () => Date;
  readonly random?: () => number;
  readonly pauseMs?: Pause;
}

/** 400 replicas that do not answer keep a round busy for 25 s. */
const parallel = 32;
/** A finding that is older than an event lives was told by whoever led before. */
const tellCorruptMs = 3_600_000;

export class CacheReports {
  readonly #options: CacheReportsOptions;
  /** By replica. */
  readonly #reports = new Map<string, ReplicaReport>();
  /** By mirror: what the reports came to when it was last told. */
  readonly #told = new Map<string, string>();
  /** Replicas whose failure was logged. */
  readonly #failing = new Set<string>();
  #complete = false;

  constructor(options: CacheReportsOptions) {
    this.#options = options;
  }

  /** Newest reports of a mirror's replicas, none where none serves; undefined: nobody was asked yet, nothing is known. */
  of(mirror: string): readonly ReplicaReport[] | undefined {
    if (!this.#complete) return undefined;
    return [...this.#reports.values()].filter((report) => report.mirror === mirror);
  }

  /** Polls in rounds until `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await inRounds(() => this.#round(signal), this.#options, signal);
  }

  async #round(signal: AbortSignal): Promise<void> {
    const endpoints = cacheEndpoints(this.#options.endpointSlices.list());
    await eachOf(endpoints, parallel, (endpoint) => this.#poll(endpoint, signal));
    if (signal.aborted) return;
    this.#forget(new Set(endpoints.map(({ replica }) => replica)));
    this.#complete = true;
    this.#tell(new Set(endpoints.map(({ mirror }) => mirror)));
  }

  async #poll({ mirror, replica, address }: CacheEndpoint, signal: AbortSignal): Promise<void> {
    const { fetchReport = askPod, logger } = this.#options;
    try {
      const { mirrors } = await fetchReport(address, signal);
      const report = mirrors.find(({ name }) => name === mirror);
      if (report === undefined) throw new Error('it has no such mirror');
      this.#take({ mirror, replica, at: this.#now(), report });
      this.#failing.delete(replica);
    } catch (error) {
      if (signal.aborted || this.#failing.has(replica)) return;
      this.#failing.add(replica);
      logger.warn({ mirror, replica, detail: errorMessage(error) }, 'Could not read what a replica says');
    }
  }

  #take(next: ReplicaReport): void {
    const before = this.#reports.get(next.replica);
    this.#reports.set(next.replica, next);
    const { corrupt, lastCorrupt } = next.report.scrub;
    // The counter begins again with the broker.
    const known = before?.report.scrub.corrupt ?? 0;
    const isNews = before !== undefined || next.at - Date.parse(lastCorrupt ?? '') < tellCorruptMs;
    if (corrupt > 0 && corrupt !== known && isNews) this.#options.corrupt(next.mirror, next);
  }

  /** Replicas that serve no more, or have not answered for long. */
  #forget(serving: ReadonlySet<string>): void {
    for (const [replica, { at }] of this.#reports) {
      if (!serving.has(replica) || this.#now() - at > keptMs) this.#reports.delete(replica);
    }
    for (const replica of this.#failing) if (!serving.has(replica)) this.#failing.delete(replica);
  }

  /** `serving`: mirrors of which a replica was asked, whether it answered or not. */
  #tell(serving: ReadonlySet<string>): void {
    for (const mirror of new Set([...this.#told.keys(), ...serving])) {
      const reports = this.of(mirror) ?? [];
      const configurations = reports
        .map(({ replica, report }) => `${replica} ${report.configuration}`)
        .sort();
      const state = JSON.stringify([cacheState(reports, {}, new Date(this.#now())), configurations]);
      if (this.#told.get(mirror) === state) continue;
      if (serving.has(mirror)) this.#told.set(mirror, state);
      else this.#told.delete(mirror);
      this.#options.changed(mirror);
    }
  }

  #now(): number {
    return (this.#options.now?.() ?? new Date()).getTime();
  }
}
