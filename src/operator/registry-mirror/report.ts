/** Says what was found: Warning events once per cause, and the status where it changes. */
import { findCondition, storedFinding } from '../../api/conditions.ts';
import type { NodeWiring } from '../../api/nodes.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import { ApiError } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { Logger } from '../../observe/log.ts';
import type { CacheReports } from '../cache-reports/cache-reports.ts';
import { type CacheState, cacheState, storedState } from '../cache-reports/cache-state.ts';
import { inUseMs, type NodesUse } from '../cache-reports/in-use.ts';
import type { NodeReports } from '../node-reports/node-reports.ts';
import type { SharedNodes } from '../shared-nodes/shared-nodes.ts';
import type { Views } from '../views.ts';
import type { Applier } from './apply.ts';
import { cacheAvailable, stalled } from './conditions.ts';
import type { Finding, Obstacle } from './finding.ts';
import { gatherLive } from './gather.ts';
import type { LiveObjects } from './live-objects.ts';
import { type NodesState, nodesState } from './nodes-state.ts';
import { nodesWired } from './nodes-wired.ts';
import { reconciling } from './reconciling.ts';
import { newWarnings, type StatusInputs, type StoredMirror, statusObject } from './status.ts';

export interface ReporterOptions {
  readonly settings: OperatorSettings;
  readonly views: Views;
  readonly events: EventRecorder;
  readonly applier: Applier;
  /** What replicas said; absent where nobody asks them. */
  readonly cacheReports?: Pick<CacheReports, 'of'>;
  /** What node agents said; absent where nobody asks them. */
  readonly nodeReports?: Pick<NodeReports, 'of'>;
  readonly sharedNodes?: Pick<SharedNodes, 'wires' | 'daemonSet'>;
  readonly nodeObstacles?: (mirror: string) => readonly Obstacle[];
  readonly now: () => Date;
  readonly logger: Logger;
}

/** What a pass found beside what the live objects show. */
export interface Report {
  readonly status: Pick<StatusInputs, 'upstreamUrl' | 'masquerade' | 'clusterIPs' | 'nodePort'>;
  /** A finding about a type that the live objects show too takes its place. */
  readonly findings: readonly Finding[];
  readonly obstacles: readonly Obstacle[];
  /** Mark of the configuration that was written; absent where none was. */
  readonly configuration?: string | undefined;
  /** What a person should know of the cache beside its replicas. */
  readonly cacheNote?: string | undefined;
  /** How nodes reach the mirror; absent: they do not, or nobody knows. */
  readonly wiring?: {
    readonly wire: NodeWiring['wire'];
    /** Nothing leads to the mirror but its own name in image references. */
    readonly byNameAlone: boolean;
  };
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
  async report(stored: StoredMirror, report: Report, signal: AbortSignal): Promise<number | undefined> {
    const { status, findings, obstacles, cacheNote, configuration } = report;
    const { views, settings, events, now, cacheReports } = this.#options;
    const { name } = stored.metadata;
    const live = gatherLive(views, settings.namespace, name);
    const newest = newestStatusOf(stored, views.mirrors.get(name) as StoredMirror | undefined);
    const nodes = this.#nodesState(newest, this.#withAgents(name, live), report);
    const use = { lastUsed: nodes.lastUsed, alias: aliasOf(newest, report) };
    const wired = hinderedBy(nodes.finding, this.#options.nodeObstacles?.(name) ?? []);
    const cache = this.#cacheState(newest, use);
    const facts = {
      statefulSet: live.statefulSet,
      configuration,
      reports: cacheReports?.of(name),
      stored: newest.status,
      generation: newest.metadata.generation,
    };
    const shown = [
      stalled(obstacles),
      cacheAvailable(live, cacheNote),
      reconciling(facts),
      wired,
      ...cache.findings,
    ];
    const found = findings.map((finding) => asReplicasSee(finding, cache));
    const all = [...shown.filter(({ type }) => !found.some((finding) => finding.type === type)), ...found];
    for (const { type, reason, message, warn } of newWarnings(stored, all)) {
      const occurrence = warn === 'once' ? '' : stateBefore(stored, type);
      await events.warning(stored, reason, message, { occurrence });
    }
    const inputs = {
      ...status,
      mirror: newest,
      findings: all,
      numbers: cache.numbers,
      nodes: nodes.nodes,
      now: now(),
      ...(live.statefulSet && { statefulSet: live.statefulSet }),
    };
    const heldUntil = await this.#write(inputs, nodes.told, signal);
    return earliest(heldUntil, this.#disuseAt(use));
  }

  /** What is counted changes all the time: for that alone there is one write a minute. */
  async #write(inputs: StatusInputs, nodesTold: boolean, signal: AbortSignal): Promise<number | undefined> {
    const { applier, now } = this.#options;
    const { name } = inputs.mirror.metadata;
    const object = statusObject(inputs);
    if (!applier.statusDiffers(object)) return undefined;
    const before = this.#written.get(name) ?? 0;
    const due = before + countsMs;
    // One of the future was written before the clock was set back.
    const isDue = due <= now().getTime() || before > now().getTime();
    if (!isDue && !applier.statusDiffers(statusObject(withoutNewCounts(inputs, nodesTold)))) return due;
    this.#written.set(name, now().getTime());
    await applier.applyStatus(object, signal).catch((error) => this.#notWritten(error));
    return undefined;
  }

  /** Until a replica was asked, what was known before is neither confirmed nor denied. */
  #cacheState({ metadata, status }: StoredMirror, use: NodesUse): CacheState {
    const { cacheReports, now } = this.#options;
    const reports = cacheReports?.of(metadata.name);
    return reports === undefined ? storedState(status) : cacheState(reports, status ?? {}, now(), use);
  }

  #withAgents(name: string, live: LiveObjects): LiveObjects {
    const { sharedNodes } = this.#options;
    const shared =
      live.daemonSet === undefined && sharedNodes?.wires(name) ? sharedNodes.daemonSet() : undefined;
    return shared === undefined ? live : { ...live, daemonSet: shared };
  }

  #nodesState({ metadata, status }: StoredMirror, live: LiveObjects, { wiring }: Report): NodesState {
    const { nodeReports, sharedNodes } = this.#options;
    const { name } = metadata;
    const isShared = sharedNodes?.wires(name) === true;
    const seemsWired = nodesWired(live).reason === 'Wired';
    const version = seemsWired ? live.daemonSet?.metadata.resourceVersion : undefined;
    const told = nodeReports && (nodeReports.of(name, { isShared, version }) ?? 'unasked');
    return nodesState({ live, told, wire: wiring?.wire ?? 'alias', stored: status });
  }

  /** When a mirror that is reached by its own name alone has not been used for too long: no event tells that. */
  #disuseAt({ alias }: NodesUse): number | undefined {
    const at = alias && alias.since + inUseMs;
    return at !== undefined && at > this.#options.now().getTime() ? at : undefined;
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

/** A Secret that seems well does not help where replicas cannot use it, or may not show it to who asks for it. */
function asReplicasSee(finding: Finding, { credentials }: CacheState): Finding {
  const seemsValid = finding.type === 'CredentialsValid' && finding.status === 'True';
  return seemsValid && credentials !== undefined ? credentials : finding;
}

/** Nodes that wait for a person: the mirror serves all the same. */
function hinderedBy(finding: Finding, obstacles: readonly Obstacle[]): Finding {
  const [first] = obstacles;
  if (first === undefined) return finding;
  const message = [finding.message, ...obstacles.map((obstacle) => obstacle.message)].join('; ');
  return { ...finding, status: 'False', reason: first.reason, message, warn: 'byReason' };
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

/** The mirror's name where only that leads to it, and since when the mirror has been ready for who uses it. */
function aliasOf({ status }: StoredMirror, { wiring, status: { masquerade } }: Report): NodesUse['alias'] {
  const ready = findCondition(status?.conditions, 'Ready');
  if (!wiring?.byNameAlone || masquerade === undefined || ready?.status !== 'True') return undefined;
  return { name: masquerade, since: Date.parse(ready.lastTransitionTime) };
}

/** The same status with the counts that are stored already. */
function withoutNewCounts(inputs: StatusInputs, nodesTold: boolean): StatusInputs {
  const { status: stored } = inputs.mirror;
  const { findings: counted, numbers } = storedState(stored);
  const nodes = nodesTold ? storedFinding(stored?.conditions, 'NodesWired') : undefined;
  const before = [...counted, ...(nodes ? [nodes] : [])];
  const findings = inputs.findings.map((found) => {
    const same = before.find(({ type, status, reason }) => {
      return type === found.type && status === found.status && reason === found.reason;
    });
    return same ?? found;
  });
  return { ...inputs, findings, numbers, nodes: nodesTold ? stored?.nodes : inputs.nodes };
}

function earliest(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
