/**
 * Brings about the one DaemonSet that wires all mirrors (`NODE_DAEMONSETS=shared`), or takes it away where each mirror has its own. The main file
 * of this folder; the reconciler of mirrors tells it what each mirror comes to.
 */
import { sharedNodeCommonName, sharedNodesName } from '../../api/names.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Logger } from '../../observe/log.ts';
import type { ListedMirror } from '../../resources/shared-nodes.ts';
import { type SharedIdentity, sharedDaemonSet, sharedNodesSecret } from '../../resources/shared-nodes.ts';
import { AuthorityKeeper } from '../certificates/authority-keeper.ts';
import { authorityMark } from '../certificates/authority-secret.ts';
import { leafFault, newLeaf, nextLeafCheck, readLeaf } from '../certificates/leaf.ts';
import { trustBundle } from '../certificates/trust-bundle.ts';
import { agentsTrust } from '../registry-mirror/agent-trust.ts';
import { Applier } from '../registry-mirror/apply.ts';
import type { LiveDaemonSet } from '../registry-mirror/live-objects.ts';
import { wasAppliedByUs } from '../registry-mirror/managed-fields.ts';
import type { Views } from '../views.ts';
import { listedIn, SharedMirrors } from './shared-list.ts';

export interface SharedNodesOptions {
  readonly client: KubeClient;
  readonly settings: OperatorSettings;
  readonly views: Views;
  readonly logger: Logger;
  /** The list changed: `reconcile` is to be called. */
  readonly changed: () => void;
  readonly now?: () => Date;
}

const dailyMs = 86_400_000;

export class SharedNodes {
  readonly #options: SharedNodesOptions;
  readonly #applier: Applier;
  readonly #authorities: AuthorityKeeper;
  readonly #mirrors = new SharedMirrors();

  constructor(options: SharedNodesOptions) {
    const { client, settings, views, logger } = options;
    this.#options = options;
    this.#applier = new Applier(options);
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
    const { views, settings } = this.#options;
    const secret = views.secrets.get(`${settings.namespace}/${sharedNodesName}`);
    return listedIn(secret).some(({ mirror }) => mirror.name === name);
  }

  /** Returns after how many milliseconds it wants to be called again. Throws what the API server says. */
  async reconcile(signal: AbortSignal): Promise<number | undefined> {
    const { settings, views } = this.#options;
    if (settings.nodeDaemonSets !== 'shared') return this.#remove(signal);
    const now = this.#options.now?.() ?? new Date();
    const mirrors = views.mirrors.list().filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const isStaying = (name: string) => mirrors.some(({ metadata }) => metadata.name === name);
    const names = views.mirrors.list().map(({ metadata }) => metadata.name);
    const secret = views.secrets.get(`${settings.namespace}/${sharedNodesName}`);
    const list = this.#mirrors.listFor(
      names.filter(isStaying),
      names.filter((name) => !isStaying(name)),
      secret,
    );
    const authority = await this.#authorities.get(now, signal);
    const mark = authorityMark(authority);
    const before = readLeaf(secret);
    const wanted = {
      names: [sharedNodeCommonName],
      identity: { commonName: sharedNodeCommonName, usages: ['serverAuth', 'clientAuth'] as const },
      authority,
      renewedSigns: before === undefined || agentsTrust(this.daemonSet(), mark),
      now,
    };
    const leaf = before && leafFault(before, wanted) === undefined ? before : await newLeaf(wanted, before);
    const authorities = trustBundle([authority.certificatePem, ...authority.previous], now);
    const identity: SharedIdentity = { leaf, authorities };
    await this.#applier.apply(sharedNodesSecret(settings, list, identity), signal);
    const startupTaints = [...new Set(mirrors.flatMap(taintOf))].sort();
    await this.#applier.apply(sharedDaemonSet(settings, list, { authority: mark, startupTaints }), signal);
    return Math.max(1_000, Math.min(dailyMs, nextLeafCheck(leaf, authority) - now.getTime()));
  }

  /** Agents change nothing when they end: what they have wired stays until each mirror's own agents take it on. */
  async #remove(signal: AbortSignal): Promise<undefined> {
    const { settings, views } = this.#options;
    const secret = views.secrets.get(`${settings.namespace}/${sharedNodesName}`);
    for (const object of [this.daemonSet(), secret]) {
      if (object !== undefined && wasAppliedByUs(object)) await this.#applier.delete(object, signal);
    }
  }
}

/** Of a mirror as it is stored; its spec may not be valid. */
function taintOf(mirror: { readonly [field: string]: unknown }): string[] {
  const { nodes } = (mirror['spec'] ?? {}) as { nodes?: { startupTaint?: unknown } };
  return typeof nodes?.startupTaint === 'string' ? [nodes.startupTaint] : [];
}
