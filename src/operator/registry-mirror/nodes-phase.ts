/** Applies the wiring DaemonSet, and what gives nodes back that it no longer selects (`leaving-nodes.ts`). */
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { KubernetesObject } from '../../resources/object.ts';
import { restoreDaemonSet } from '../../resources/restore-daemon-set.ts';
import type { NodeReports } from '../node-reports/node-reports.ts';
import type { SharedNodes } from '../shared-nodes/shared-nodes.ts';
import type { Applier } from './apply.ts';
import type { Obstacle } from './finding.ts';
import { type LeavingPlan, leavingAnnotation, planLeaving, type Restore } from './leaving-nodes.ts';
import type { LiveDaemonSet, LiveObjects } from './live-objects.ts';
import type { ObjectsPass } from './objects-pass.ts';
import { isReadablePlacement, placementOf, termLimit } from './placement.ts';
import { restoreLimitMs, sinceAnnotation, unrestoredNodes } from './restoration.ts';
import type { StoredMirror } from './status.ts';

export interface NodesPhaseOptions {
  readonly client: KubeClient;
  readonly settings: OperatorSettings;
  readonly events: EventRecorder;
  readonly applier: Applier;
  readonly nodeReports?: Pick<NodeReports, 'listing'>;
  readonly sharedNodes?: Pick<SharedNodes, 'wires' | 'leftSince'>;
  readonly now: () => Date;
}

/** What the phase is about. */
export interface NodesPhaseInput {
  readonly stored: StoredMirror;
  readonly mirror: RegistryMirror;
  readonly live: LiveObjects;
  /** The wiring DaemonSet as it is to be. */
  readonly daemonSet: KubernetesObject;
}

/** What it found; `checkAt`: when to look again, in milliseconds since the epoch. */
export interface NodesPhaseResult {
  /** False where the API server has refused the wiring DaemonSet. */
  readonly isApplied: boolean;
  readonly obstacles: readonly Obstacle[];
  readonly checkAt?: number;
}

export class NodesPhase {
  readonly #options: NodesPhaseOptions;

  constructor(options: NodesPhaseOptions) {
    this.#options = options;
  }

  /** Makes no request when no node leaves and the DaemonSet is as it is to be. */
  async apply(input: NodesPhaseInput, pass: ObjectsPass, signal: AbortSignal): Promise<NodesPhaseResult> {
    if (!isReadablePlacement(placementOf(podSpecOf(input.daemonSet)))) {
      return { isApplied: await pass.apply(input.daemonSet, signal), obstacles: [] };
    }
    const plan = this.#plan(input, input.daemonSet);
    if (plan.step !== 'refuse') return this.#take(plan, input, pass, signal);
    const daemonSet = stayingWhere(input.daemonSet, input.live.daemonSet);
    const staying = this.#plan(input, daemonSet);
    const result = await this.#take(staying, { ...input, daemonSet }, pass, signal);
    return { ...result, obstacles: [tooComplex] };
  }

  /** Shared agents may have wired the mirror before. */
  #plan({ live, mirror }: NodesPhaseInput, daemonSet: KubernetesObject): LeavingPlan {
    const { settings, nodeReports, sharedNodes, now } = this.#options;
    const { name } = mirror.metadata;
    const othersWire = (at: number) => {
      if (settings.nodeDaemonSets !== 'shared' || nodeReports === undefined) return false;
      if (sharedNodes?.wires(name)) return true;
      return nodeReports.listing(name, { at, version: sharedNodes?.leftSince(name) })?.length !== 0;
    };
    return planLeaving(live, podSpecOf(daemonSet), now(), othersWire);
  }

  async #take(
    plan: LeavingPlan,
    input: NodesPhaseInput,
    pass: ObjectsPass,
    signal: AbortSignal,
  ): Promise<NodesPhaseResult> {
    const { stored, live, daemonSet } = input;
    if (plan.step === 'finish' && plan.unreached) await this.#nameUnreached(stored, signal);
    // Before nodes that are selected again are wired.
    if (plan.step === 'none' || plan.step === 'release') await this.#end(live.restoreDaemonSet, signal);
    const isApplied = await pass.apply(marked(daemonSet, plan), signal);
    // Only once the mark is gone: else it would all begin again.
    if (plan.step === 'finish' && isApplied) await this.#end(live.restoreDaemonSet, signal);
    if (plan.step === 'restore' && isApplied) await pass.apply(this.#restoring(input, plan), signal);
    return { isApplied, obstacles: [], ...('checkAt' in plan && { checkAt: plan.checkAt }) };
  }

  #restoring({ mirror }: NodesPhaseInput, plan: Restore): KubeObject {
    const { settings } = this.#options;
    const object = restoreDaemonSet({ mirror, settings }, plan.nodes.terms);
    return marked(withAnnotation(object, sinceAnnotation, plan.since), plan);
  }

  async #end(restoring: LiveDaemonSet | undefined, signal: AbortSignal): Promise<void> {
    if (restoring === undefined || restoring.metadata.deletionTimestamp !== undefined) return;
    await this.#options.applier.delete(restoring, signal);
  }

  async #nameUnreached(stored: StoredMirror, signal: AbortSignal): Promise<void> {
    const { client, settings, events } = this.#options;
    const { name } = stored.metadata;
    const place = { namespace: settings.namespace, mirror: name, component: 'leavingNodes' } as const;
    const names = await unrestoredNodes(client, place, signal);
    const message = `Nodes that left the selection were not restored within ${restoreLimitMs / 1000} s: ${names}; run restore on them`;
    await events.warning(stored, 'NodesNotRestored', message);
  }
}

const tooComplex: Obstacle = {
  reason: 'SelectionTooComplex',
  message: `Which nodes leave the selection takes more than ${termLimit} node selector terms: the node agents stay where they are; change spec.nodes in smaller steps`,
};

interface WithTemplate {
  readonly template: { readonly spec: Readonly<Record<string, unknown>> };
}

function podSpecOf({ spec }: KubernetesObject): Readonly<Record<string, unknown>> {
  return (spec as WithTemplate).template.spec;
}

/** As it is to be, on the nodes where it is. */
function stayingWhere(desired: KubernetesObject, live: LiveDaemonSet | undefined): KubernetesObject {
  const { nodeSelector, affinity } = live?.spec?.template?.spec ?? {};
  const { template, ...spec } = desired['spec'] as WithTemplate;
  const { nodeSelector: _selector, affinity: _affinity, ...rest } = template.spec;
  const placed = {
    ...rest,
    ...(nodeSelector !== undefined && { nodeSelector }),
    ...(affinity !== undefined && { affinity }),
  };
  return { ...desired, spec: { ...spec, template: { ...template, spec: placed } } };
}

/** With the nodes that are to be restored; the text is the same as long as they are. */
function marked(object: KubeObject, plan: LeavingPlan): KubeObject {
  if (!('nodes' in plan)) return object;
  const { since, terms } = plan.nodes;
  return withAnnotation(object, leavingAnnotation, JSON.stringify({ since, terms }));
}

function withAnnotation(object: KubeObject, key: string, value: string): KubeObject {
  const { metadata } = object;
  return { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, [key]: value } } };
}
