/**
 * Brings about the one DaemonSet that wires all mirrors (`NODE_DAEMONSETS=shared`), or takes it away where each mirror has its own. The main file
 * of this folder; the reconciler of mirrors tells it what each mirror comes to.
 */
import { objectNames, sharedNodeCommonName, sharedNodesName } from '../../api/names.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Logger } from '../../observe/log.ts';
import { peerAuthoritiesKey } from '../../resources/secret.ts';
import {
  type ListedMirror,
  listEntry,
  listFiles,
  type SharedIdentity,
  sharedDaemonSet,
  sharedNodesSecret,
} from '../../resources/shared-nodes.ts';
import { AuthorityKeeper } from '../certificates/authority-keeper.ts';
import { authorityMark } from '../certificates/authority-secret.ts';
import { sinceOf, sinceText } from '../certificates/authority-since.ts';
import { isSignedBy, leafFault, newLeaf, nextLeafCheck, readLeaf, spreadMs } from '../certificates/leaf.ts';
import { secretText } from '../certificates/secret-text.ts';
import { trustBundle } from '../certificates/trust-bundle.ts';
import type { NodeReports } from '../node-reports/node-reports.ts';
import { isRolledOut } from '../registry-mirror/agent-pods.ts';
import { agentsTrust } from '../registry-mirror/agent-trust.ts';
import { Applier } from '../registry-mirror/apply.ts';
import type { Obstacle } from '../registry-mirror/finding.ts';
import { podsFollowMs } from '../registry-mirror/leaf-inputs.ts';
import type { LiveDaemonSet } from '../registry-mirror/live-objects.ts';
import { wasAppliedByUs } from '../registry-mirror/managed-fields.ts';
import { refusalOf } from '../registry-mirror/objects-pass.ts';
import { homeOf, type Views } from '../views.ts';
import { forgetAt, type VersionedList, versioned } from './list-version.ts';
import { SharedMirrors } from './shared-list.ts';
import { listedIn, toldList } from './told-list.ts';

export interface SharedNodesOptions {
  readonly client: KubeClient;
  readonly settings: OperatorSettings;
  readonly views: Views;
  readonly logger: Logger;
  /** The list changed: `reconcile` is to be called. */
  readonly changed: () => void;
  /** False while the API server does not know the kind of mirrors: that there are none means nothing then. */
  readonly mirrorsKnown: () => boolean;
  /** What keeps the agents from being brought about has changed: every mirror is to say so. */
  readonly obstaclesChanged: () => void;
  /** Who brings the agents the list that is in force before their kubelets do, and looks for those that are to be there. */
  readonly agents?: Pick<NodeReports, 'deliver' | 'expect'>;
  readonly now?: () => Date;
}

const dailyMs = 86_400_000;
/** So long the agents of all mirrors wait at most for those of each one to take over. */
const handOverMs = 300_000;
const handOverLookMs = 2_000;
/** A kind that the API server knows again, and of which there is nothing, is no event. */
const unknownLookMs = 5_000;

export class SharedNodes {
  readonly #options: SharedNodesOptions;
  readonly #applier: Applier;
  readonly #authorities: AuthorityKeeper;
  readonly #mirrors = new SharedMirrors();
  /** Since when they are to end, in milliseconds since the epoch. */
  #removingSince: number | undefined;
  #obstacles: readonly Obstacle[] = [];

  constructor(options: SharedNodesOptions) {
    const { client, settings, views, logger } = options;
    this.#options = options;
    this.#applier = new Applier({ client, logger, home: (object) => homeOf(object, views) });
    this.#authorities = new AuthorityKeeper({
      client,
      namespace: settings.namespace,
      secrets: views.secrets,
      logger,
    });
  }

  /** The mirror is to be wired like this; `taken back`: not any more; `elsewhere`: by other agents. */
  tell(name: string, standing: ListedMirror | 'taken back' | 'elsewhere'): void {
    if (this.#mirrors.set(name, standing)) this.#options.changed();
  }

  /** The DaemonSet as it is; none where each mirror has its own. */
  daemonSet(): LiveDaemonSet | undefined {
    const { views, settings } = this.#options;
    const live = views.daemonSets.get(`${settings.namespace}/${sharedNodesName}`);
    return live?.metadata.deletionTimestamp === undefined ? live : undefined;
  }

  /** True where the agents were told to wire the mirror. */
  wires(name: string): boolean {
    return toldList(this.#secret()).listed.has(name);
  }

  /** The version of the list since which the mirror stands in it as it is to be wired, infinite until it does; undefined where that is not known. */
  listedSince(name: string): number | undefined {
    const { listed, since } = toldList(this.#secret());
    const wanted = this.#mirrors.get(name);
    if (wanted === undefined || typeof wanted === 'string') return since.get(name);
    return listed.get(name) === JSON.stringify(listEntry(wanted))
      ? since.get(name)
      : Number.POSITIVE_INFINITY;
  }

  /** True where they were told to take back what they have wired of it. */
  takesBack(name: string): boolean {
    const { gone, left } = toldList(this.#secret());
    return gone.includes(name) && left.has(name);
  }

  /** The version of the list since which the agents are to wire the mirror no more; undefined where they are to, or were not told to lately. */
  leftSince(name: string): number | undefined {
    return this.wires(name) ? undefined : toldList(this.#secret()).left.get(name);
  }

  /** What a person must change before there are agents: a policy, a quota, or the operator's rights. */
  obstacles(): readonly Obstacle[] {
    return this.#obstacles;
  }

  /** Returns after how many milliseconds it wants to be called again. Throws what the API server says. */
  async reconcile(signal: AbortSignal): Promise<number | undefined> {
    if (!this.#options.mirrorsKnown()) return unknownLookMs;
    try {
      const afterMs = await this.#bringAbout(signal);
      this.#note([]);
      return afterMs;
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== undefined) this.#note(refusal.obstacles);
      throw error;
    }
  }

  #note(obstacles: readonly Obstacle[]): void {
    const isNews = JSON.stringify(obstacles) !== JSON.stringify(this.#obstacles);
    this.#obstacles = obstacles;
    if (isNews) this.#options.obstaclesChanged();
  }

  async #bringAbout(signal: AbortSignal): Promise<number | undefined> {
    const { settings, views } = this.#options;
    if (settings.nodeDaemonSets !== 'shared') return this.#remove(signal);
    const now = this.#options.now?.() ?? new Date();
    const mirrors = this.#existing(views);
    const isStaying = (name: string) => mirrors.some(({ metadata }) => metadata.name === name);
    const names = views.mirrors.list().map(({ metadata }) => metadata.name);
    const secret = this.#secret();
    const list = this.#mirrors.listFor(
      names.filter(isStaying),
      names.filter((name) => !isStaying(name)),
      secret,
      now.getTime(),
    );
    const authority = await this.#authorities.get(now, signal);
    const mark = authorityMark(authority);
    const before = readLeaf(secret);
    // A node that stays away does not keep the others' agents from mirrors that trust the former authority no more.
    const since = sinceOf(secret, mark, now);
    const waitEnds = since + spreadMs;
    const podsKnow = since + podsFollowMs <= now.getTime();
    const wanted = {
      names: [sharedNodeCommonName],
      identity: { commonName: sharedNodeCommonName, usages: ['serverAuth', 'clientAuth'] as const },
      authority,
      // What it signed before it signs again: mirrors forget a former authority.
      renewedSigns:
        before === undefined ||
        isSignedBy(before, authority) ||
        (podsKnow && agentsTrust(this.daemonSet(), mark)) ||
        waitEnds <= now.getTime(),
      now,
    };
    const leaf = before && leafFault(before, wanted) === undefined ? before : await newLeaf(wanted, before);
    const authorities = trustBundle([authority.certificatePem, ...authority.previous], now);
    const isWaiting = !isSignedBy(leaf, authority);
    const authoritySince = isWaiting ? sinceText(mark, since) : undefined;
    const identity: SharedIdentity = { leaf, authorities, authoritySince };
    await this.#tell(list, identity, signal);
    const startupTaints = [...new Set(mirrors.flatMap(taintOf))].sort();
    await this.#applier.apply(sharedDaemonSet(settings, list, { authority: mark, startupTaints }), signal);
    this.#options.agents?.expect(this.daemonSet()?.status?.desiredNumberScheduled ?? 0);
    const wait = isWaiting ? (podsKnow ? waitEnds : since + podsFollowMs) : Number.POSITIVE_INFINITY;
    const next = Math.min(nextLeafCheck(leaf, authority), forgetAt(list, names), wait);
    return Math.max(1_000, Math.min(dailyMs, next - now.getTime()));
  }

  /** Nobody is brought what is not in the Secret: that is what agents that start go by, and the next leader. */
  async #tell(list: VersionedList, identity: SharedIdentity, signal: AbortSignal): Promise<void> {
    await this.#applier.apply(sharedNodesSecret(this.#options.settings, list, identity), signal);
    const { version, gone } = list;
    this.#options.agents?.deliver({ version, gone, files: listFiles(list) });
  }

  /**
   * Agents change nothing when they end: what they have wired stays. They end once those of every mirror are there to take it on; a mirror that is
   * deleted meanwhile is taken out of their list, or else they would wire it again.
   */
  async #remove(signal: AbortSignal): Promise<number | undefined> {
    const secret = this.#secret();
    const set = this.#daemonSetOfUs();
    const owned = secret !== undefined && wasAppliedByUs(secret) ? secret : undefined;
    if (set === undefined && owned === undefined) return undefined;
    const now = (this.#options.now?.() ?? new Date()).getTime();
    this.#removingSince = Math.min(this.#removingSince ?? now, now);
    const left = this.#removingSince + handOverMs - now;
    if (set !== undefined && left > 0 && !this.#isHandedOver()) {
      await this.#keepExisting(secret, now, signal);
      return Math.min(left, handOverLookMs);
    }
    for (const object of [set, owned]) if (object !== undefined) await this.#applier.delete(object, signal);
    return undefined;
  }

  #daemonSetOfUs(): LiveDaemonSet | undefined {
    const live = this.daemonSet();
    return live !== undefined && wasAppliedByUs(live) ? live : undefined;
  }

  /** Every mirror has agents of its own, and all of them have made a pass. */
  #isHandedOver(): boolean {
    const { views, settings } = this.#options;
    return views.mirrors.list().every(({ metadata }) => {
      const own = views.daemonSets.get(`${settings.namespace}/${objectNames(metadata.name).daemonSet}`);
      return own !== undefined && isRolledOut(own as LiveDaemonSet);
    });
  }

  async #keepExisting(secret: KubeObject | undefined, now: number, signal: AbortSignal): Promise<void> {
    const { views } = this.#options;
    const leaf = readLeaf(secret);
    if (leaf === undefined) return;
    const existing = this.#existing(views).map(({ metadata }) => metadata.name);
    const authorities = secretText(secret, peerAuthoritiesKey) ?? '';
    const before = listedIn(secret);
    const listed = before.filter(({ mirror }) => existing.includes(mirror.name));
    const others = existing.filter((name) => !listed.some(({ mirror }) => mirror.name === name)).sort();
    const gone = before.map(({ mirror }) => mirror.name).filter((name) => !existing.includes(name));
    await this.#tell(versioned({ listed, others, gone }, secret, now), { leaf, authorities }, signal);
  }

  #secret(): KubeObject | undefined {
    const { views, settings } = this.#options;
    return views.secrets.get(`${settings.namespace}/${sharedNodesName}`);
  }

  #existing({ mirrors }: Views): KubeObject[] {
    return mirrors.list().filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }
}

/** Of a mirror as it is stored; its spec may not be valid. */
function taintOf(mirror: { readonly [field: string]: unknown }): string[] {
  const { nodes } = (mirror['spec'] ?? {}) as { nodes?: { startupTaint?: unknown } };
  return typeof nodes?.startupTaint === 'string' ? [nodes.startupTaint] : [];
}
