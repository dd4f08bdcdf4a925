/**
 * One pass that brings a valid mirror about: Services, certificates, configuration, cache and nodes, each written where it differs. Used by
 * `reconcile.ts` only.
 */
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import { masqueradeOf } from '../../api/upstream.ts';
import { configurationMark } from '../../cache/configuration-mark.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { Logger } from '../../observe/log.ts';
import { sharesNodes } from '../../resources/shared-nodes.ts';
import { AuthorityKeeper } from '../certificates/authority-keeper.ts';
import { FormerAuthorities } from '../certificates/former-authorities.ts';
import { secretText } from '../certificates/secret-text.ts';
import type { NodeReports } from '../node-reports/node-reports.ts';
import type { SharedNodes } from '../shared-nodes/shared-nodes.ts';
import type { Views } from '../views.ts';
import { nodesBehind } from './agent-trust.ts';
import type { Applier } from './apply.ts';
import { caBundleMissing } from './ca-bundle.ts';
import { ClaimGrowth } from './claim-growth.ts';
import { sizeNote } from './claims.ts';
import { type CompositionInputs, phases } from './desired.ts';
import { gatherLive } from './gather.ts';
import { gatherInputs } from './inputs.ts';
import type { LiveDaemonSet } from './live-objects.ts';
import { applyServices } from './mirror-services.ts';
import { NamedObjects } from './named-objects.ts';
import { NodePorts, portsExhausted } from './node-port.ts';
import { NodesPhase, type NodesPhaseInput, type NodesPhaseResult } from './nodes-phase.ts';
import { ObjectsPass } from './objects-pass.ts';
import type { Report } from './report.ts';
import { SharedPhase } from './shared-phase.ts';
import type { StatusInputs, StoredMirror } from './status.ts';
import { wiringOf } from './wiring.ts';

export interface ProvisionerOptions {
  readonly client: KubeClient;
  readonly settings: OperatorSettings;
  readonly views: Views;
  readonly events: EventRecorder;
  readonly applier: Applier;
  readonly logger: Logger;
  /** What node agents say of their nodes; absent: nobody asks them. */
  readonly nodeReports?: Pick<NodeReports, 'of' | 'listing'>;
  /** The agents of all mirrors; absent: each mirror has its own. */
  readonly sharedNodes?: Pick<SharedNodes, 'tell' | 'daemonSet' | 'wires' | 'leftSince' | 'obstacles'>;
  readonly now: () => Date;
}

/** What a pass found, beside what it did. */
export interface Provision extends Report {
  /** When to look again, in milliseconds since the epoch. */
  readonly checkAt?: number;
  /** Something failed that may not fail again: back off once the status is written. */
  readonly failure?: unknown;
}

/** Priority classes and authorities of upstreams are not watched, nor is a port that becomes free an event. */
const missingMs = 30_000;

export class Provisioner {
  readonly #options: ProvisionerOptions;
  readonly #authorities: AuthorityKeeper;
  readonly #claims: ClaimGrowth;
  readonly #named: NamedObjects;
  readonly #nodes: NodesPhase;
  readonly #shared: SharedPhase;
  readonly #ports: NodePorts;
  /** By mirror: what its given certificates were trusted by. */
  readonly #former = new Map<string, FormerAuthorities>();
  #withoutBudgets = false;

  constructor(options: ProvisionerOptions) {
    const { client, settings, views, logger, now } = options;
    const { namespace } = settings;
    this.#options = options;
    this.#authorities = new AuthorityKeeper({ client, namespace, secrets: views.secrets, logger });
    this.#claims = new ClaimGrowth(client, logger, () => now().getTime());
    this.#named = new NamedObjects(client, settings);
    this.#nodes = new NodesPhase(options);
    this.#shared = new SharedPhase(options);
    this.#ports = new NodePorts(views, settings.nodePorts);
  }

  /** Brings the mirror about as far as the API server lets it; throws what says nothing about the mirror. */
  async provision(stored: StoredMirror, mirror: RegistryMirror, signal: AbortSignal): Promise<Provision> {
    const { settings, views, logger, events, applier } = this.#options;
    const now = this.#options.now();
    const live = gatherLive(views, settings.namespace, mirror.metadata.name);
    const dependencies = { applier, events, logger };
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
    const former = this.#formerOf(mirror.metadata.name);
    const question = { ...known, authority, now, logger, nodesBehind: behind, former };
    const { composition, claims, findings, checkAt } = await gatherInputs(question);
    const classMissing = await this.#named.missingClass(mirror, signal);
    const nodeClassMissing = await this.#named.missingNodeClass(mirror, signal);
    const pass = new ObjectsPass(applier);
    let nodes: Omit<NodesPhaseResult, 'isApplied'> = { obstacles: [] };
    let configuration: string | undefined;
    for (const { name, objects } of phases) {
      if (name === 'services' || (classMissing && (name === 'cache' || name === 'nodes'))) continue;
      if (name === 'nodes' && sharesNodes(mirror, settings)) {
        const handOver = await this.#shared.wire(composition, live, signal);
        nodes = { obstacles: this.#options.sharedNodes?.obstacles() ?? [] };
        if (handOver !== undefined) nodes = { ...nodes, checkAt: handOver };
        continue;
      }
      for (const object of objects(composition)) {
        if (name === 'nodes')
          nodes = await this.#wireAlone(
            { stored, mirror, live, daemonSet: object },
            composition,
            pass,
            signal,
          );
        else if ((await pass.apply(object, signal)) && name === 'configuration')
          configuration = configurationMark(secretText(object, 'broker.json') ?? '');
      }
    }
    this.#tellMissingRights(pass);
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
        ...(nodeClassMissing ? [nodeClassMissing] : []),
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
        (classMissing || nodeClassMissing || authoritiesMissing || nodePort === undefined) &&
          now.getTime() + missingMs,
      ),
      failure: pass.failure,
    };
  }

  #formerOf(name: string): FormerAuthorities {
    const known = this.#former.get(name);
    if (known !== undefined) return known;
    const { mirrors } = this.#options.views;
    for (const other of this.#former.keys()) if (mirrors.get(other) === undefined) this.#former.delete(other);
    const made = new FormerAuthorities();
    this.#former.set(name, made);
    return made;
  }

  /** Once: with an old installation's RBAC every pass of every mirror meets it. */
  #tellMissingRights({ missingRights: error }: ObjectsPass): void {
    if (error === undefined || this.#withoutBudgets) return;
    this.#options.logger.error({ error }, 'Not allowed to limit evictions of cache pods; working without');
    this.#withoutBudgets = true;
  }

  /** By agents of its own; nodes that the shared ones wired and that these do not are given back as nodes that leave. */
  async #wireAlone(
    input: NodesPhaseInput,
    composition: CompositionInputs,
    pass: ObjectsPass,
    signal: AbortSignal,
  ): Promise<NodesPhaseResult> {
    const { sharedNodes } = this.#options;
    const { name } = input.mirror.metadata;
    const before = input.live.daemonSet ?? (sharedNodes?.wires(name) ? sharedNodes.daemonSet() : undefined);
    const live = { ...input.live, ...(before && { daemonSet: before }) };
    const result = await this.#nodes.apply({ ...input, live }, pass, signal);
    if (result.isApplied || input.live.daemonSet !== undefined) sharedNodes?.tell(name, 'elsewhere');
    // It gets none as it is: the shared ones go on, with what it is now.
    else if (sharedNodes?.wires(name)) await this.#shared.wire(composition, input.live, signal);
    return result;
  }

  #sharedAgents(mirror: RegistryMirror): LiveDaemonSet | undefined {
    const { settings, sharedNodes } = this.#options;
    return sharesNodes(mirror, settings) ? sharedNodes?.daemonSet() : undefined;
  }

  #nodesBehind(mirror: RegistryMirror, mark: string, signal: AbortSignal): Promise<string> {
    const { client, settings } = this.#options;
    const { namespace } = settings;
    const component = sharesNodes(mirror, settings) ? 'sharedNodes' : 'nodes';
    return nodesBehind(client, { namespace, mirror: mirror.metadata.name, component, mark }, signal);
  }
}

function statusFields(
  mirror: RegistryMirror,
  given: Pick<StatusInputs, 'clusterIPs' | 'nodePort'>,
): Provision['status'] {
  return { upstreamUrl: mirror.spec.upstreamUrl, masquerade: masqueradeOf(mirror), ...given };
}

/** Infinite where none is given. */
export function earliest(...times: readonly (number | false | undefined)[]): number {
  return Math.min(...times.filter((time) => typeof time === 'number'));
}
