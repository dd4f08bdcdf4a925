/**
 * Ends a mirror: restores its nodes, deletes what it owns, lets it go. Each step looks at what exists, so that it can be
 * begun again at any point, and works whichever way the mirror is deleted: the garbage collector may take owned objects
 * away while our finalizer waits (foreground), afterwards (background), or never (orphan).
 */

import { findCondition, restoringReason } from '../../api/conditions.ts';
import { finalizer } from '../../api/names.ts';
import { type RegistryMirror, registryMirrorSchema } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ApiError } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { ResourceType } from '../../kube/resource-type.ts';
import type { Logger } from '../../observe/log.ts';
import { sharesNodes } from '../../resources/shared-nodes.ts';
import type { NodeReports } from '../node-reports/node-reports.ts';
import { daemonSets, registryMirrors } from '../resource-types.ts';
import type { SharedNodes } from '../shared-nodes/shared-nodes.ts';
import type { Views } from '../views.ts';
import { isRolledOut } from './agent-pods.ts';
import type { Applier } from './apply.ts';
import { gatherLive } from './gather.ts';
import type { LiveDaemonSet, LiveObjects } from './live-objects.ts';
import type { Reporter } from './report.ts';
import {
  restorationFinding,
  restoreLimitMs,
  sharedRestoration,
  sinceAnnotation,
  startOf,
  unrestoredNodes,
} from './restoration.ts';
import type { StoredMirror } from './status.ts';
import { readStored, standingStatus } from './stored-mirror.ts';
import { restoringDaemonSet } from './unwire.ts';

export interface FinalizerOptions {
  readonly client: KubeClient;
  readonly settings: OperatorSettings;
  readonly views: Views;
  readonly events: EventRecorder;
  readonly logger: Logger;
  readonly applier: Applier;
  readonly reporter: Reporter;
  readonly nodeReports?: Pick<NodeReports, 'holding'>;
  readonly sharedNodes?: Pick<SharedNodes, 'daemonSet' | 'wires' | 'takesBack' | 'leftSince'>;
  readonly now: () => Date;
  /** Milliseconds of a clock that nobody sets. */
  readonly elapsed?: () => number;
}

const lookAgainMs = 5_000;
/** Of the garbage collector. */
const foreground = 'foregroundDeletion';
/** Pods on nodes that are well have ended by then. */
const podsEndMs = 45_000;
/** What shared agents say of a mirror that is in their list no more is no event of it. */
const lookAtSharedMs = 2_000;

export class Finalizer {
  readonly #options: FinalizerOptions;
  /** By mirror: since when this operator has seen it being deleted, by a clock that nobody sets. */
  readonly #seen = new Map<string, { readonly uid: string | undefined; readonly at: number }>();

  constructor(options: FinalizerOptions) {
    this.#options = options;
  }

  /** Takes the next steps; returns after how many milliseconds to go on, undefined when the mirror is let go. */
  async finalize(stored: StoredMirror, signal: AbortSignal): Promise<number | undefined> {
    if (!stored.metadata.finalizers?.includes(finalizer)) return undefined;
    const { views, settings } = this.#options;
    const live = gatherLive(views, settings.namespace, stored.metadata.name);
    const shared = live.daemonSet === undefined && this.#shares(stored) ? this.#sharedAgents() : undefined;
    const isTold = shared !== undefined && this.#wasListed(stored.metadata.name);
    if (live.daemonSet !== undefined || isTold || mayBeWired(stored)) {
      const waitMs =
        shared === undefined
          ? await this.#restore(stored, live, signal)
          : await this.#awaitShared(stored, shared, signal);
      if (waitMs !== undefined) return waitMs;
    }
    await this.#deleteOwned(stored, signal);
    await this.#letGo(stored, signal);
    return undefined;
  }

  /**
   * What a pass that began before another ended a mirror may have left: DaemonSets that restore, belong to nobody, and
   * so would stay for ever. The server is asked whether the mirror is really gone.
   */
  async sweep(name: string, signal: AbortSignal): Promise<void> {
    this.#seen.delete(name);
    const { views, settings, client, applier } = this.#options;
    const { daemonSet, restoreDaemonSet } = gatherLive(views, settings.namespace, name);
    const left = [daemonSet, restoreDaemonSet].filter((one) => one !== undefined).filter(isLeft);
    if (left.length === 0) return;
    if ((await client.getOrUndefined(registryMirrors, { name }, { signal })) !== undefined) return;
    for (const one of left) await applier.delete(one, signal);
  }

  /** None that is about to go: those left from another setting are asked no more, and take nothing back. */
  #sharedAgents(): LiveDaemonSet | undefined {
    const { settings, sharedNodes } = this.#options;
    return settings.nodeDaemonSets === 'shared' ? sharedNodes?.daemonSet() : undefined;
  }

  /** False for a mirror that had agents of its own: their DaemonSet may be gone before we look, and shared ones do not take back what they made. */
  #shares(stored: StoredMirror): boolean {
    const { settings, sharedNodes } = this.#options;
    const { name } = stored.metadata;
    if (sharedNodes?.wires(name) || sharedNodes?.takesBack(name)) return true;
    return sharesNodes(mirrorOf(stored), settings);
  }

  /** A status that was written when the mirror had left the list, and was not being deleted yet, names no nodes. */
  #wasListed(name: string): boolean {
    const { sharedNodes } = this.#options;
    return sharedNodes?.wires(name) === true || sharedNodes?.leftSince(name) !== undefined;
  }

  /** The agents of all mirrors take back what is in their list no more, and say so. Undefined: done, as far as it could be. */
  async #awaitShared(
    stored: StoredMirror,
    { status: { desiredNumberScheduled = 0 } = {} }: LiveDaemonSet,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { nodeReports, sharedNodes, reporter, events } = this.#options;
    const { name, deletionTimestamp = '' } = stored.metadata;
    const version = sharedNodes?.leftSince(name);
    // The timestamp's second is over when it counts: what was said in it may be from before.
    const since = { version, at: Date.parse(deletionTimestamp) + 1000 };
    const told = sharedNodes?.wires(name) ? undefined : nodeReports?.holding(name, since);
    const { nodes, of } = told ?? { nodes: [], of: -1 };
    // A node whose agent is being replaced, or was not made yet, has said nothing.
    if (nodes.length === 0 && of >= desiredNumberScheduled) return undefined;
    const missing = Math.max(0, desiredNumberScheduled - Math.max(0, of));
    const finding = sharedRestoration({
      nodes: [...nodes, ...Array(missing).fill('')],
      of: Math.max(of, desiredNumberScheduled),
    });
    await reporter.report(
      stored,
      { status: standingStatus(stored), findings: [finding], obstacles: [] },
      signal,
    );
    if (!this.#isLate(stored)) return lookAtSharedMs;
    const names = nodes.length === 0 ? 'unknown' : nodes.slice(0, 10).join(', ');
    const more = nodes.length > 10 ? ` and ${nodes.length - 10} more` : '';
    const warning = `Nodes not restored within ${restoreLimitMs / 1000} s: ${names}${more}; run restore on them`;
    await events.warning(stored, 'NodesNotRestored', warning);
    return undefined;
  }

  /** Undefined: done, as far as it could be. */
  async #restore(stored: StoredMirror, live: LiveObjects, signal: AbortSignal): Promise<number | undefined> {
    if (live.daemonSet?.metadata.deletionTimestamp !== undefined)
      return this.#awaitGone(stored, live.daemonSet, signal);
    const daemonSet = await this.#restoring(stored, live, signal);
    if (daemonSet === undefined || isRolledOut(daemonSet)) return undefined;
    const finding = restorationFinding(daemonSet);
    const report = { status: standingStatus(stored), findings: [finding], obstacles: [] };
    await this.#options.reporter.report(stored, report, signal);
    const now = this.#options.now();
    const leftMs = restoreLimitMs - (now.getTime() - startOf(daemonSet, now));
    if (leftMs > 0) return Math.min(leftMs, 60_000);
    await this.#nameUnrestored(stored, signal);
    return undefined;
  }

  /**
   * The garbage collector was faster: one without an owner is made when this one is gone. In the foreground it waits for its pods, and that of a dead
   * node does not go: then it is let go without them.
   */
  async #awaitGone(
    stored: StoredMirror,
    daemonSet: LiveDaemonSet,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const wanted = daemonSet.status?.desiredNumberScheduled ?? 0;
    const finding = sharedRestoration({ nodes: Array(wanted).fill(''), of: wanted });
    const report = { status: standingStatus(stored), findings: [finding], obstacles: [] };
    await this.#options.reporter.report(stored, report, signal);
    if (this.#isLate(stored)) {
      await this.#nameUnrestored(stored, signal);
      return undefined;
    }
    const sinceMs = this.#options.now().getTime() - Date.parse(daemonSet.metadata.deletionTimestamp ?? '');
    if (sinceMs >= podsEndMs) await this.#removeFinalizer(daemonSets, daemonSet, foreground, signal);
    return lookAgainMs;
  }

  /** Applies the DaemonSet that restores; undefined when it cannot be made any more. */
  async #restoring(
    stored: StoredMirror,
    live: LiveObjects,
    signal: AbortSignal,
  ): Promise<LiveDaemonSet | undefined> {
    const { settings, applier } = this.#options;
    const now = this.#options.now();
    const desired = restoringDaemonSet({ mirror: mirrorOf(stored), settings }, false);
    const isBegun = live.daemonSet?.metadata.annotations?.[sinceAnnotation] !== undefined;
    const since = live.daemonSet && isBegun ? new Date(startOf(live.daemonSet, now)) : now;
    const metadata = { ...desired.metadata, annotations: { [sinceAnnotation]: since.toISOString() } };
    try {
      return await applier.apply({ ...desired, metadata }, signal);
    } catch (error) {
      if (!(error instanceof ApiError) || !this.#isHopeless(error, stored)) throw error;
      const message = `Nodes could not be restored: ${error.message}; run restore on each node`;
      await this.#options.events.warning(stored, 'NodesNotRestored', message);
      return undefined;
    }
  }

  /** A namespace that is gone takes no DaemonSet; anything else that is refused may be mended for a while. */
  #isHopeless(error: ApiError, stored: StoredMirror): boolean {
    if (error.notFound || error.causes.some(({ reason }) => reason === 'NamespaceTerminating')) return true;
    return (error.forbidden || error.invalid) && this.#isLate(stored);
  }

  /** Too long after the deletion: by the API server's clock and ours, or, where ours is behind or was set back, since we saw it. */
  #isLate({ metadata: { name, uid, deletionTimestamp = '' } }: StoredMirror): boolean {
    const { now, elapsed = () => performance.now() } = this.#options;
    const known = this.#seen.get(name);
    const at = known !== undefined && known.uid === uid ? known.at : elapsed();
    this.#seen.set(name, { uid, at });
    const sinceMs = now().getTime() - Date.parse(deletionTimestamp);
    return Math.max(sinceMs, elapsed() - at) >= restoreLimitMs;
  }

  async #nameUnrestored(stored: StoredMirror, signal: AbortSignal): Promise<void> {
    const { client, settings, events } = this.#options;
    const place = {
      namespace: settings.namespace,
      mirror: stored.metadata.name,
      component: 'nodes',
    } as const;
    const names = await unrestoredNodes(client, place, signal);
    const message = `Nodes not restored within ${restoreLimitMs / 1000} s: ${names}; run restore on them`;
    await events.warning(stored, 'NodesNotRestored', message);
  }

  /** Also what the garbage collector would delete: with orphan propagation it does not. */
  async #deleteOwned(stored: StoredMirror, signal: AbortSignal): Promise<void> {
    const { views, settings, applier } = this.#options;
    const live = gatherLive(views, settings.namespace, stored.metadata.name);
    const { claims: _kept, daemonSet, statefulSet, ...others } = live;
    for (const object of [daemonSet, statefulSet, ...Object.values(others)] as (KubeObject | undefined)[]) {
      if (object === undefined || object.metadata.deletionTimestamp !== undefined) continue;
      if (!belongsToOther(object, stored)) await applier.delete(object, signal);
    }
  }

  async #letGo(stored: StoredMirror, signal: AbortSignal): Promise<void> {
    const { views, logger } = this.#options;
    const { name } = stored.metadata;
    const { finalizers = [] } = (views.mirrors.get(name) ?? stored).metadata;
    await this.#removeFinalizer(
      registryMirrors,
      { metadata: { ...stored.metadata, finalizers } },
      finalizer,
      signal,
    );
    views.mirrors.sawOff(stored);
    logger.info({ mirror: name }, 'Let a deleted mirror go');
  }

  /** Nothing where it has none, or is gone. */
  async #removeFinalizer(
    type: ResourceType,
    { metadata: { namespace, name, uid, finalizers = [] } }: Pick<KubeObject, 'metadata'>,
    unwanted: string,
    signal: AbortSignal,
  ): Promise<void> {
    const path = `/metadata/finalizers/${finalizers.indexOf(unwanted)}`;
    if (!finalizers.includes(unwanted)) return;
    const patch = [
      { op: 'test', path: '/metadata/uid', value: uid },
      { op: 'test', path, value: unwanted },
      { op: 'remove', path },
    ];
    try {
      const key = namespace === undefined ? { name } : { namespace, name };
      await this.#options.client.patch(type, key, patch, { contentType: 'json', signal });
    } catch (error) {
      if (!(error instanceof ApiError && error.notFound)) throw error;
    }
  }
}

/**
 * The status names nodes once a DaemonSet was seen, and while they are restored the condition says so; without any status an earlier pass may
 * have ended in between.
 */
function mayBeWired({ status }: StoredMirror): boolean {
  if (status?.observedGeneration === undefined || status.nodes !== undefined) return true;
  return findCondition(status.conditions, 'NodesWired')?.reason === restoringReason;
}

/** Restoring needs the name alone: also a mirror that cannot be read any more is taken back from its nodes. */
function mirrorOf(stored: StoredMirror): RegistryMirror {
  const read = readStored(stored);
  if ('mirror' in read) return read.mirror;
  const { name, uid } = stored.metadata;
  const { spec } = registryMirrorSchema.parse({ spec: { upstreamUrl: 'unreadable.invalid', replicas: 0 } });
  return { ...(stored as unknown as RegistryMirror), metadata: { name, ...(uid && { uid }) }, spec };
}

/** Restores, and nobody owns it. */
function isLeft({ metadata }: LiveDaemonSet): boolean {
  return metadata.annotations?.[sinceAnnotation] !== undefined && metadata.ownerReferences === undefined;
}

/** Mirrors `x` and `x-headless` would share a Service: the one of them that had to stand back takes nothing with it. */
function belongsToOther({ metadata }: KubeObject, { metadata: { uid } }: StoredMirror): boolean {
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true);
  return controller !== undefined && controller.uid !== uid;
}
