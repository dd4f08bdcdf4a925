/** Says what was found: Warning events once per cause, and the status where it changes. */
import type { OperatorSettings } from '../../api/settings.ts';
import { ApiError } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { Logger } from '../../observe/log.ts';
import type { CacheReports } from '../cache-reports/cache-reports.ts';
import { type CacheState, cacheState, storedState } from '../cache-reports/cache-state.ts';
import type { Views } from '../views.ts';
import type { Applier } from './apply.ts';
import { cacheAvailable, nodesWired, stalled } from './conditions.ts';
import type { Finding, Obstacle } from './finding.ts';
import { gatherLive } from './gather.ts';
import { newWarnings, type StatusInputs, type StoredMirror, statusObject } from './status.ts';

export interface ReporterOptions {
  readonly settings: OperatorSettings;
  readonly views: Views;
  readonly events: EventRecorder;
  readonly applier: Applier;
  /** What replicas said; absent where nobody asks them. */
  readonly cacheReports?: Pick<CacheReports, 'of'>;
  readonly now: () => Date;
  readonly logger: Logger;
}

/** What a pass found beside what the live objects show. */
export interface Report {
  readonly status: Pick<StatusInputs, 'upstreamUrl' | 'masquerade' | 'clusterIPs' | 'nodePort'>;
  /** A finding about a type that the live objects show too takes its place. */
  readonly findings: readonly Finding[];
  readonly obstacles: readonly Obstacle[];
  /** What a person should know of the cache beside its replicas. */
  readonly cacheNote?: string | undefined;
}

/** Between two writes for nothing but numbers. */
const countsMs = 60_000;

export class Reporter {
  readonly #options: ReporterOptions;
  /** When the status of a mirror was last written, in milliseconds since the epoch. */
  readonly #written = new Map<string, number>();
  #forbidden = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /**
   * Events come first: they are named by their cause, so a crash in between repeats nothing. Returns when to report again what was held
   * back, in milliseconds since the epoch; undefined: nothing was.
   */
  async report(
    stored: StoredMirror,
    { status, findings, obstacles, cacheNote }: Report,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { views, settings, events, now } = this.#options;
    const { name } = stored.metadata;
    const live = gatherLive(views, settings.namespace, name);
    const newest = newestStatusOf(stored, views.mirrors.get(name) as StoredMirror | undefined);
    const cache = this.#cacheState(newest);
    const shown = [stalled(obstacles), cacheAvailable(live, cacheNote), nodesWired(live), ...cache.findings];
    const all = [...shown.filter(({ type }) => !findings.some((found) => found.type === type)), ...findings];
    for (const { type, reason, message, warn } of newWarnings(stored, all)) {
      const occurrence = warn === 'once' ? '' : stateBefore(stored, type);
      await events.warning(stored, reason, message, { occurrence });
    }
    const inputs = {
      ...status,
      mirror: newest,
      findings: all,
      numbers: cache.numbers,
      now: now(),
      ...(live.statefulSet && { statefulSet: live.statefulSet }),
      ...(live.daemonSet && { daemonSet: live.daemonSet }),
    };
    return this.#write(inputs, signal);
  }

  /** What is counted changes all the time: for that alone there is one write a minute. */
  async #write(inputs: StatusInputs, signal: AbortSignal): Promise<number | undefined> {
    const { applier, now } = this.#options;
    const { name } = inputs.mirror.metadata;
    const object = statusObject(inputs);
    if (!applier.statusDiffers(object)) return undefined;
    const due = (this.#written.get(name) ?? 0) + countsMs;
    const isDue = due <= now().getTime();
    if (!isDue && !applier.statusDiffers(statusObject(withoutNewCounts(inputs)))) return due;
    this.#written.set(name, now().getTime());
    await applier.applyStatus(object, signal).catch((error) => this.#notWritten(error));
    return undefined;
  }

  /** Until a replica was asked, what was known before is neither confirmed nor denied. */
  #cacheState({ metadata, status }: StoredMirror): CacheState {
    const { cacheReports, now } = this.#options;
    const reports = cacheReports?.of(metadata.name);
    return reports === undefined ? storedState(status) : cacheState(reports, status ?? {}, now());
  }

  /** A mirror that is gone needs no status; an old installation's RBAC may not know of it. */
  #notWritten(error: unknown): void {
    if (!(error instanceof ApiError)) throw error;
    if (error.notFound) return;
    if (!error.forbidden) throw error;
    if (!this.#forbidden) this.#options.logger.error({ error }, 'Not allowed to write the status of mirrors');
    this.#forbidden = true;
  }
}

/** The pass was about `stored`: a spec that came meanwhile was not looked at, and its generation is not to be named. */
function newestStatusOf(stored: StoredMirror, newest: StoredMirror | undefined): StoredMirror {
  return newest?.status === undefined ? stored : { ...stored, status: newest.status };
}

/**
 * What the condition was before the trouble, which tells its occurrences apart: the same however often a pass is begun
 * again before the status is written, another one when the trouble comes back.
 */
function stateBefore({ status }: StoredMirror, type: string): string {
  const { reason, lastTransitionTime } = status?.conditions?.find((one) => one.type === type) ?? {};
  return `${reason ?? ''} ${lastTransitionTime ?? ''}`;
}

/** The same status with the counts that are stored already. */
function withoutNewCounts(inputs: StatusInputs): StatusInputs {
  const { findings: before, numbers } = storedState(inputs.mirror.status);
  const findings = inputs.findings.map((found) => {
    const same = before.find(({ type, status, reason }) => {
      return type === found.type && status === found.status && reason === found.reason;
    });
    return same ?? found;
  });
  return { ...inputs, findings, numbers };
}
