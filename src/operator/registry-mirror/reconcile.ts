/**
 * Brings one RegistryMirror about: reads the whole state from the views, writes the whole desired state where it differs,
 * says in the status what it found. Gets a name, never an event. Used by `src/operator/operator.ts` only.
 */

import { apiVersion, kind } from '../../api/kind.ts';
import { finalizer } from '../../api/names.ts';
import { nodeWiring } from '../../api/nodes.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import { masqueradeOf, masqueradesAsUpstream } from '../../api/upstream.ts';
import { configurationMark } from '../../cache/configuration-mark.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ApiError } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { Logger } from '../../observe/log.ts';
import { sharesNodes } from '../../resources/shared-nodes.ts';
import type { CacheReports } from '../cache-reports/cache-reports.ts';
import { AuthorityKeeper } from '../certificates/authority-keeper.ts';
import { secretText } from '../certificates/secret-text.ts';
import type { NodeReports } from '../node-reports/node-reports.ts';
import { outcomeOf } from '../outcome.ts';
import type { SharedNodes } from '../shared-nodes/shared-nodes.ts';
import { homeOf, masqueradeIndex, type Views } from '../views.ts';
import { nodesBehind } from './agent-trust.ts';
import { Applier } from './apply.ts';
import { caBundleMissing } from './ca-bundle.ts';
import { ClaimGrowth } from './claim-growth.ts';
import { sizeNote } from './claims.ts';
import { phases } from './desired.ts';
import { Failures } from './failures.ts';
import { Finalizer } from './finalize.ts';
import type { Obstacle } from './finding.ts';
import { gatherLive } from './gather.ts';
import { gatherInputs } from './inputs.ts';
import type { LiveDaemonSet } from './live-objects.ts';
import { applyServices } from './mirror-services.ts';
import { NamedObjects } from './named-objects.ts';
import { NodePorts, portsExhausted } from './node-port.ts';
import { NodesPhase, type NodesPhaseInput, type NodesPhaseResult } from './nodes-phase.ts';
import { ObjectsPass, refusalOf } from './objects-pass.ts';
import {
  type MasqueradeClaim,
  masqueradeConflict,
  masqueradeHost,
  masqueradePort,
  serviceConflict,
  serviceRivals,
} from './obstacles.ts';
import { type Report, Reporter } from './report.ts';
import { sharedRestoration } from './restoration.ts';
import { SharedPhase } from './shared-phase.ts';
import { givenTo, type StatusInputs, type StoredMirror } from './status.ts';
import { readStored } from './stored-mirror.ts';
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
  readonly sharedNodes?: Pick<SharedNodes, 'tell' | 'daemonSet' | 'wires' | 'leftSince'>;
  /** What a person must do about this mirror's nodes. */
  readonly nodeObstacles?: (mirror: string) => readonly Obstacle[];
  readonly now?: () => Date;
}

/** What a pass found, beside what it did. */
interface Result extends Report {
  /** When to look again, in milliseconds since the epoch. */
  readonly checkAt?: number;
  /** Something failed that may not fail again: back off once the status is written. */
  readonly failure?: unknown;
}

/** Days pass without an event: certificates are looked at at least so often. */
const dailyMs = 86_400_000;
/** Priority classes and authorities of upstreams are not watched, nor is a port that becomes free an event. */
const missingMs = 30_000;

/** The reconciler of RegistryMirrors. */
export class MirrorReconciler {
  readonly #options: ReconcilerOptions;
  readonly #applier: Applier;
  readonly #authorities: AuthorityKeeper;
  readonly #claims: ClaimGrowth;
  readonly #named: NamedObjects;
  readonly #reporter: Reporter;
  readonly #finalizer: Finalizer;
  readonly #failures: Failures;
  readonly #nodes: NodesPhase;
  readonly #shared: SharedPhase;
  readonly #ports: NodePorts;
  #unmarked = false;

  constructor(options: ReconcilerOptions) {
    const { client, settings, views, logger } = options;
    this.#options = options;
    this.#applier = new Applier({ client, logger, home: (object) => homeOf(object, options.views) });
    this.#authorities = new AuthorityKeeper({
      client,
      namespace: settings.namespace,
      secrets: views.secrets,
      logger,
    });
    this.#claims = new ClaimGrowth(client, logger, () => this.#now().getTime());
    this.#named = new NamedObjects(client, settings);
    const shared = { ...options, applier: this.#applier, now: () => this.#now() };
    this.#reporter = new Reporter(shared);
    this.#finalizer = new Finalizer({ ...shared, reporter: this.#reporter });
    this.#failures = new Failures({ ...shared, reporter: this.#reporter });
    this.#nodes = new NodesPhase(shared);
    this.#shared = new SharedPhase(shared);
    this.#ports = new NodePorts(views, settings.nodePorts);
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
  async #attempt(stored: StoredMirror, mirror: RegistryMirror, signal: AbortSignal): Promise<Result> {
    try {
      await this.#mark(stored, signal);
      const obstacles = this.#obstacles(mirror);
      if (obstacles.length > 0) return await this.#holdBack(stored, mirror, obstacles, signal);
      return await this.#bringAbout(stored, mirror, signal);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== undefined) return { ...this.#standing(stored, mirror), ...refusal };
      const outcome = outcomeOf(error);
      if (outcome.kind !== 'stalled') throw error;
      this.#options.logger.error({ error, mirror: mirror.metadata.name }, 'Could not bring a mirror about');
      return { ...this.#standing(stored, mirror), obstacles: [outcome] };
    }
  }

  /** An old installation's RBAC may only read mirrors: they work without the mark, and are not held for their nodes. */
  async #mark(stored: StoredMirror, signal: AbortSignal): Promise<void> {
    try {
      await this.#applier.apply(identity(stored), signal);
    } catch (error) {
      if (!(error instanceof ApiError && error.forbidden)) throw error;
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
  ): Promise<Result> {
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
    return { ...this.#standing(stored, mirror), findings: [...findings, ...shared], obstacles };
  }

  async #bringAbout(stored: StoredMirror, mirror: RegistryMirror, signal: AbortSignal): Promise<Result> {
    const { settings, views, logger } = this.#options;
    const now = this.#now();
    const live = gatherLive(views, settings.namespace, mirror.metadata.name);
    const { events } = this.#options;
    const dependencies = { applier: this.#applier, events, logger };
    const clusterIPs = await applyServices({ mirror, settings }, stored, live, dependencies, signal);
    const authority = await this.#authorities.get(now, signal);
    const behind = (mark: string) => this.#nodesBehind(mirror, mark, signal);
    const nodePort = this.#ports.allocate(stored, live.daemonSet);
    const given = { clusterIPs, ...(nodePort !== undefined && { nodePort }) };
    const agents = live.daemonSet ?? this.#sharedAgents(mirror);
    const known = {
      mirror,
      settings,
      ...given,
      live: { ...live, ...(agents && { daemonSet: agents }) },
      views,
    };
    const question = { ...known, authority, now, logger, nodesBehind: behind };
    const { composition, claims, findings, checkAt } = await gatherInputs(question);
    const classMissing = await this.#named.missingClass(mirror, signal);
    const pass = new ObjectsPass(this.#applier);
    let nodes: NodesPhaseResult = { obstacles: [] };
    let configuration: string | undefined;
    for (const { name, objects } of phases) {
      if (name === 'services' || (classMissing && (name === 'cache' || name === 'nodes'))) continue;
      if (name === 'nodes' && sharesNodes(mirror, settings)) {
        const handOver = await this.#shared.wire(composition, live, signal);
        if (handOver !== undefined) nodes = { ...nodes, checkAt: handOver };
        continue;
      }
      for (const object of objects(composition)) {
        if (name === 'nodes')
          nodes = await this.#wireAlone({ stored, mirror, live, daemonSet: object }, pass, signal);
        else if ((await pass.apply(object, signal)) && name === 'configuration')
          configuration = configurationMark(secretText(object, 'broker.json') ?? '');
      }
    }
    const bundleMissing = caBundleMissing(settings, (key) => views.caBundle?.get(key));
    const authoritiesMissing = await this.#named.missingAuthorities(mirror, signal);
    const growth = await this.#claims.grow(claims.growths, signal);
    return {
      status: statusFields(mirror, given),
      wiring: wiringOf(mirror, settings),
      configuration,
      cacheNote: sizeNote(composition.mirror),
      findings,
      obstacles: [
        ...pass.obstacles,
        ...(nodePort === undefined ? [portsExhausted(settings.nodePorts)] : []),
        ...(classMissing ? [classMissing] : []),
        ...claims.obstacles,
        ...growth.obstacles,
        ...nodes.obstacles,
        ...(bundleMissing ? [bundleMissing] : []),
        ...(authoritiesMissing ? [authoritiesMissing] : []),
      ],
      checkAt: earliest(
        checkAt,
        nodes.checkAt,
        growth.checkAt,
        (classMissing || authoritiesMissing || nodePort === undefined) && now.getTime() + missingMs,
      ),
      failure: pass.failure,
    };
  }

  /** By agents of its own; nodes that the shared ones wired and that these do not are given back as nodes that leave. */
  async #wireAlone(
    input: NodesPhaseInput,
    pass: ObjectsPass,
    signal: AbortSignal,
  ): Promise<NodesPhaseResult> {
    const { sharedNodes } = this.#options;
    const { name } = input.mirror.metadata;
    const before = input.live.daemonSet ?? (sharedNodes?.wires(name) ? sharedNodes.daemonSet() : undefined);
    const live = { ...input.live, ...(before && { daemonSet: before }) };
    const result = await this.#nodes.apply({ ...input, live }, pass, signal);
    sharedNodes?.tell(name, 'elsewhere');
    return result;
  }

  #sharedAgents(mirror: RegistryMirror): LiveDaemonSet | undefined {
    const { settings, sharedNodes } = this.#options;
    return sharesNodes(mirror, settings) ? sharedNodes?.daemonSet() : undefined;
  }

  /** A mirror that is not in force: what is known without writing anything. */
  #standing(stored: StoredMirror, mirror: RegistryMirror): Pick<Result, 'status' | 'findings'> {
    return { status: statusFields(mirror, givenTo(stored)), findings: [] };
  }

  #nodesBehind(mirror: RegistryMirror, mark: string, signal: AbortSignal): Promise<string> {
    const { client, settings } = this.#options;
    const { namespace } = settings;
    const component = sharesNodes(mirror, settings) ? 'sharedNodes' : 'nodes';
    return nodesBehind(client, { namespace, mirror: mirror.metadata.name, component, mark }, signal);
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

function statusFields(
  mirror: RegistryMirror,
  given: Pick<StatusInputs, 'clusterIPs' | 'nodePort'>,
): Result['status'] {
  return { upstreamUrl: mirror.spec.upstreamUrl, masquerade: masqueradeOf(mirror), ...given };
}

/** A mirror whose own name is the upstream's is found by it. */
function wiringOf(
  mirror: RegistryMirror,
  { addressingScheme }: OperatorSettings,
): NonNullable<Report['wiring']> {
  const { wire } = nodeWiring(mirror, addressingScheme);
  const isAlias = wire === 'alias' && !masqueradesAsUpstream(mirror);
  return { wire, byNameAlone: addressingScheme === 'hostess' && isAlias };
}

/** Infinite where none is given. */
function earliest(...times: readonly (number | false | undefined)[]): number {
  return Math.min(...times.filter((time) => typeof time === 'number'));
}
