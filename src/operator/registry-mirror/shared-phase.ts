/** Has a mirror wired by the agents of all mirrors, and ends those of its own that did so before. */
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import { nodeMirror } from '../../resources/node-mirror.ts';
import type { NodeReports } from '../node-reports/node-reports.ts';
import type { SharedNodes } from '../shared-nodes/shared-nodes.ts';
import { isRolledOut } from './agent-pods.ts';
import type { Applier } from './apply.ts';
import { type CompositionInputs, dockerNames } from './desired.ts';
import type { LiveDaemonSet, LiveObjects } from './live-objects.ts';
import { wasAppliedByUs } from './managed-fields.ts';

export interface SharedPhaseOptions {
  readonly sharedNodes?: Pick<SharedNodes, 'tell' | 'daemonSet'>;
  readonly nodeReports?: Pick<NodeReports, 'of'>;
  readonly applier: Applier;
  readonly now: () => Date;
}

/** Agents of its own end at the latest so long after the shared ones were first told of the mirror, or were made. */
const handOverMs = 300_000;
/** Of all nodes: as many as a rollout of agents takes at once. */
const missingShare = 0.1;
/** Neither what agents say nor the rollout of the shared ones is an event of every mirror. */
const lookAgainMs = 30_000;

export class SharedPhase {
  readonly #options: SharedPhaseOptions;
  /** By mirror with agents of its own: when this operator first told the shared ones of it. */
  readonly #told = new Map<string, number>();

  constructor(options: SharedPhaseOptions) {
    this.#options = options;
  }

  /** Waits for nothing: what is not known yet is told when it is. Returns when to look again, in milliseconds since the epoch. */
  async wire(inputs: CompositionInputs, live: LiveObjects, signal: AbortSignal): Promise<number | undefined> {
    const { clusterIPs, nodePort, trustBundle, mirror } = inputs;
    if (clusterIPs.length === 0 || nodePort === undefined) return undefined;
    const told = nodeMirror(inputs, { clusterIPs, nodePort, certificateNames: dockerNames(inputs) });
    this.#options.sharedNodes?.tell(mirror.metadata.name, { mirror: told, authorities: trustBundle });
    return this.#endOwn(mirror, live, signal);
  }

  /** Only agents that know the mirror take it on; what lies on a node is the same for both. */
  async #endOwn(
    { metadata: { name, uid } }: RegistryMirror,
    { daemonSet, restoreDaemonSet }: LiveObjects,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const own = [daemonSet, restoreDaemonSet].filter((set) => isEndable(set, uid));
    if (own.length === 0) {
      this.#told.delete(name);
      return undefined;
    }
    if (!this.#isTakenOn(name, this.#limitOf(name))) return this.#options.now().getTime() + lookAgainMs;
    for (const set of own) await this.#options.applier.delete(set, signal);
    return undefined;
  }

  #limitOf(name: string): number {
    const { sharedNodes, now } = this.#options;
    // Whatever is to come is of a clock that was set back.
    const told = Math.min(this.#told.get(name) ?? Number.POSITIVE_INFINITY, now().getTime());
    this.#told.set(name, told);
    const made = Date.parse(sharedNodes?.daemonSet()?.metadata.creationTimestamp ?? '');
    return Math.max(told, made <= now().getTime() ? made : told) + handOverMs;
  }

  #isTakenOn(name: string, limit: number): boolean {
    const { sharedNodes, nodeReports, now } = this.#options;
    const shared = sharedNodes?.daemonSet();
    if (shared === undefined) return false;
    const isLate = now().getTime() >= limit;
    const heard = nodeReports
      ?.of(name)
      ?.filter(({ agent, state }) => agent.mirror === undefined && state === 'heard');
    const told = heard?.length ?? 0;
    const { desiredNumberScheduled = 0, numberReady = 0 } = shared.status ?? {};
    if (isRolledOut(shared)) return isLate || told >= desiredNumberScheduled;
    // A few nodes whose shared agent does not come up keep the others waiting no longer; many are a rollout that has failed.
    const mayMiss = Math.max(1, Math.floor(desiredNumberScheduled * missingShare));
    const isMostThere = numberReady >= Math.max(1, desiredNumberScheduled - mayMiss);
    return isLate && isMostThere && told >= numberReady;
  }
}

/** By whom it was made says whose it is: an earlier operator did not apply, and named the mirror as its owner. */
function isEndable(set: LiveDaemonSet | undefined, mirrorUid: string | undefined): set is LiveDaemonSet {
  if (set === undefined || set.metadata.deletionTimestamp !== undefined) return false;
  if (wasAppliedByUs(set)) return true;
  return mirrorUid !== undefined && (set.metadata.ownerReferences ?? []).some(({ uid }) => uid === mirrorUid);
}
