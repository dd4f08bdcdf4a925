/**
 * Brings one RegistryMirror about: reads the whole state from the views, writes the whole desired state where it differs,
 * says in the status what it found. Gets a name, never an event. Used by `src/operator/operator.ts` only.
 */

import { apiVersion, kind } from '../../api/kind.ts';
import { finalizer } from '../../api/names.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ApiError } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { Logger } from '../../observe/log.ts';
import { sharesNodes } from '../../resources/shared-nodes.ts';
import type { CacheReports } from '../cache-reports/cache-reports.ts';
import type { NodeReports } from '../node-reports/node-reports.ts';
import { outcomeOf } from '../outcome.ts';
import type { SharedNodes } from '../shared-nodes/shared-nodes.ts';
import { homeOf, masqueradeIndex, type Views } from '../views.ts';
import { Applier } from './apply.ts';
import { Failures } from './failures.ts';
import { Finalizer } from './finalize.ts';
import type { Obstacle } from './finding.ts';
import { gatherLive } from './gather.ts';
import { refusalOf } from './objects-pass.ts';
import {
  type MasqueradeClaim,
  masqueradeConflict,
  masqueradeHost,
  masqueradePort,
  serviceConflict,
  serviceRivals,
} from './obstacles.ts';
import { earliest, type Provision, Provisioner } from './provision.ts';
import { Reporter } from './report.ts';
import { sharedRestoration } from './restoration.ts';
import { givenTo, type StoredMirror } from './status.ts';
import { readStored, standingReport, standingStatus } from './stored-mirror.ts';
import { unwire } from './unwire.ts';

export interface ReconcilerOptions {
  readonly client: KubeClient;
  readonly settings: OperatorSettings;
  readonly views: Views;
  readonly events: EventRecorder;
  readonly logger: Logger;
  /** What cache replicas say of themselves; absent: nobody asks them. */
  readonly cacheReports?: Pick<CacheReports, 'of'>;
  /** What node agents say of their nodes; absent: nobody asks them. */
  readonly nodeReports?: Pick<NodeReports, 'of' | 'holding' | 'listing'>;
  /** The agents of all mirrors; absent: each mirror has its own. */
  readonly sharedNodes?: Pick<
    SharedNodes,
    'tell' | 'daemonSet' | 'wires' | 'takesBack' | 'leftSince' | 'obstacles'
  >;
  /** What a person must do about this mirror's nodes. */
  readonly nodeObstacles?: (mirror: string) => readonly Obstacle[];
  readonly now?: () => Date;
}

/** Days pass without an event: certificates are looked at at least so often. */
const dailyMs = 86_400_000;

/** The reconciler of RegistryMirrors. */
export class MirrorReconciler {
  readonly #options: ReconcilerOptions;
  readonly #applier: Applier;
  readonly #provisioner: Provisioner;
  readonly #reporter: Reporter;
  readonly #finalizer: Finalizer;
  readonly #failures: Failures;
  #unmarked = false;

  constructor(options: ReconcilerOptions) {
    const { client, views, logger } = options;
    this.#options = options;
    this.#applier = new Applier({ client, logger, home: (object) => homeOf(object, views) });
    const shared = { ...options, applier: this.#applier, now: () => this.#now() };
    this.#provisioner = new Provisioner(shared);
    this.#reporter = new Reporter(shared);
    this.#finalizer = new Finalizer({ ...shared, reporter: this.#reporter });
    this.#failures = new Failures({ ...shared, reporter: this.#reporter });
  }

  /** Handles the mirror `name`; returns after how many milliseconds it wants to be called again. Throws for a backoff. */
  async reconcile(name: string, signal: AbortSignal): Promise<number | undefined> {
    const stored = this.#options.views.mirrors.get(name) as StoredMirror | undefined;
    try {
      const afterMs = await this.#take(name, stored, signal);
      this.#failures.forget(name);
      return afterMs;
    } catch (error) {
      if (stored !== undefined) await this.#failures.tell(stored, error, signal);
      throw error;
    }
  }

  async #take(
    name: string,
    stored: StoredMirror | undefined,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    if (stored === undefined) {
      await this.#finalizer.sweep(name, signal);
      return undefined;
    }
    if (stored.metadata.deletionTimestamp !== undefined) return this.#finalizer.finalize(stored, signal);
    const read = readStored(stored);
    if ('faults' in read) {
      const obstacle = { reason: 'InvalidSpec', message: read.faults };
      await this.#reporter.report(
        stored,
        { status: givenTo(stored), findings: [], obstacles: [obstacle] },
        signal,
      );
      return undefined;
    }
    const result = await this.#attempt(stored, read.mirror, signal);
    const reportAt = await this.#reporter.report(stored, result, signal);
    if (result.failure !== undefined) throw result.failure;
    const now = this.#now().getTime();
    return Math.max(1_000, Math.min(dailyMs, earliest(result.checkAt, reportAt) - now));
  }

  /** What only a person can mend is a result; everything else that is thrown is the loop's. */
  async #attempt(stored: StoredMirror, mirror: RegistryMirror, signal: AbortSignal): Promise<Provision> {
    try {
      await this.#mark(stored, signal);
      const obstacles = this.#obstacles(mirror);
      if (obstacles.length > 0) return await this.#holdBack(stored, mirror, obstacles, signal);
      return await this.#provisioner.provision(stored, mirror, signal);
    } catch (error) {
      const refusal = refusalOf(error);
      const known = standingReport(stored, this.#options.settings);
      if (refusal !== undefined) return { ...known, ...refusal };
      const outcome = outcomeOf(error);
      if (outcome.kind !== 'stalled') throw error;
      this.#options.logger.error({ error, mirror: mirror.metadata.name }, 'Could not bring a mirror about');
      return { ...known, obstacles: [outcome] };
    }
  }

  /** An old installation's RBAC may only read mirrors: they work without the mark, and are not held for their nodes. */
  async #mark(stored: StoredMirror, signal: AbortSignal): Promise<void> {
    try {
      await this.#applier.apply(identity(stored), signal);
    } catch (error) {
      if (!(error instanceof ApiError && error.lacksRights)) throw error;
      if (!this.#unmarked) this.#options.logger.error({ error }, 'Not allowed to label and finalize mirrors');
      this.#unmarked = true;
    }
  }

  #obstacles(mirror: RegistryMirror): Obstacle[] {
    const { views, settings } = this.#options;
    const rivals = views.mirrors.byIndex(masqueradeIndex, masqueradeHost(mirror) ?? '');
    const namesakes = serviceRivals(mirror.metadata.name).flatMap((name) => views.mirrors.get(name) ?? []);
    return [
      serviceConflict(mirror, namesakes as readonly MasqueradeClaim[]),
      masqueradeConflict(mirror, rivals as readonly MasqueradeClaim[]),
      masqueradePort(mirror, settings),
    ].filter((obstacle) => obstacle !== undefined);
  }

  /** Its nodes are given back, since another mirror may wire them now; the rest stays as it is. */
  async #holdBack(
    stored: StoredMirror,
    mirror: RegistryMirror,
    obstacles: readonly Obstacle[],
    signal: AbortSignal,
  ): Promise<Provision> {
    const { views, settings } = this.#options;
    const live = gatherLive(views, settings.namespace, mirror.metadata.name);
    const { sharedNodes } = this.#options;
    const { name } = mirror.metadata;
    // One that chooses its nodes now may have been wired by the shared agents until then.
    if (sharesNodes(mirror, settings) || sharedNodes?.wires(name)) sharedNodes?.tell(name, 'taken back');
    const findings = await unwire({ mirror, settings }, live, this.#applier, signal);
    const holding =
      live.daemonSet === undefined &&
      this.#options.nodeReports?.holding(name, { at: 0, version: sharedNodes?.leftSince(name) });
    const shared = holding && holding.nodes.length > 0 ? [sharedRestoration(holding)] : [];
    return { status: standingStatus(stored), findings: [...findings, ...shared], obstacles };
  }

  #now(): Date {
    return this.#options.now?.() ?? new Date();
  }
}

/** The mark by which `kubectl get -l mirror=<name>` finds the mirror itself, and what keeps it until nodes are undone. */
function identity({ metadata }: StoredMirror) {
  const { name, uid } = metadata;
  return {
    apiVersion,
    kind,
    // With the uid: a mirror that was deleted meanwhile is not made again.
    metadata: { name, ...(uid !== undefined && { uid }), labels: { mirror: name }, finalizers: [finalizer] },
  };
}
