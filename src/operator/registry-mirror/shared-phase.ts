/** Has a mirror wired by the agents of all mirrors, and ends those of its own that did so before. */
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

/** Agents of its own end at the latest so long after the shared ones were made. */
const handOverMs = 300_000;

export class SharedPhase {
  readonly #options: SharedPhaseOptions;

  constructor(options: SharedPhaseOptions) {
    this.#options = options;
  }

  /** Waits for nothing: what is not known yet is told when it is. */
  async wire(inputs: CompositionInputs, live: LiveObjects, signal: AbortSignal): Promise<void> {
    const { clusterIPs, nodePort, trustBundle, mirror } = inputs;
    if (clusterIPs.length === 0 || nodePort === undefined) return;
    const told = nodeMirror(inputs, { clusterIPs, nodePort, certificateNames: dockerNames(inputs) });
    this.#options.sharedNodes?.tell(mirror.metadata.name, { mirror: told, authorities: trustBundle });
    await this.#endOwn(mirror.metadata.name, live, signal);
  }

  /** Only agents that know the mirror take it on; what lies on a node is the same for both. */
  async #endOwn(
    name: string,
    { daemonSet, restoreDaemonSet }: LiveObjects,
    signal: AbortSignal,
  ): Promise<void> {
    const own = [daemonSet, restoreDaemonSet].filter(isEndable);
    if (own.length === 0 || !this.#isTakenOn(name)) return;
    for (const set of own) await this.#options.applier.delete(set, signal);
  }

  #isTakenOn(name: string): boolean {
    const { sharedNodes, nodeReports, now } = this.#options;
    const shared = sharedNodes?.daemonSet();
    if (shared === undefined || !isRolledOut(shared)) return false;
    if (now().getTime() - Date.parse(shared.metadata.creationTimestamp ?? '') > handOverMs) return true;
    const told = nodeReports
      ?.of(name)
      ?.filter(({ agent, state }) => agent.mirror === undefined && state === 'heard');
    return (told?.length ?? 0) >= (shared.status?.desiredNumberScheduled ?? 0);
  }
}

function isEndable(set: LiveDaemonSet | undefined): set is LiveDaemonSet {
  return set !== undefined && set.metadata.deletionTimestamp === undefined && wasAppliedByUs(set);
}
