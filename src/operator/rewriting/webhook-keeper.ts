/** Announces the webhook to the API server as the routing wants it: certificate, then trust, then what is sent to it. */
import { fieldManager, rewritingRole, webhookNames } from '../../api/names.ts';
import type { RewriteSettings } from '../../api/rewrite-settings.ts';
import type { WebhookSettings } from '../../api/webhook-settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ApiError } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Logger } from '../../observe/log.ts';
import type { OwnerReference } from '../../resources/object.ts';
import { announcedNamespaces, exclusionsOfOthers, webhookConfiguration } from '../../resources/webhook.ts';
import type { LiveView } from '../live-view.ts';
import type { Applier } from '../registry-mirror/apply.ts';
import { wasAppliedByUs } from '../registry-mirror/managed-fields.ts';
import { clusterRoles, mutatingWebhookConfigurations } from '../resource-types.ts';
import { WritePace } from '../write-pace.ts';
import { announcedBundles, injectionPatch } from './ca-injection.ts';
import { Refusals } from './refusals.ts';
import type { Routing } from './routing.ts';
import type { WebhookCertificate } from './webhook-certificate.ts';

export interface WebhookKeeperOptions {
  readonly client: KubeClient;
  readonly rewrite: RewriteSettings;
  readonly settings: WebhookSettings;
  readonly configurations: LiveView;
  readonly certificate: WebhookCertificate;
  readonly applier: Applier;
  readonly owner: (signal: AbortSignal) => Promise<readonly OwnerReference[]>;
  readonly logger: Logger;
}

export class WebhookKeeper {
  readonly #options: WebhookKeeperOptions;
  readonly #pace = new WritePace({ most: 10 });

  constructor(options: WebhookKeeperOptions) {
    this.#options = options;
  }

  /** True where our configuration is known to the API server. */
  get isAnnounced(): boolean {
    return this.#options.configurations.get(webhookNames.configuration) !== undefined;
  }

  /** Namespaces whose pods the API server sends to the webhook, by what our configuration says now. */
  get announced(): Routing['webhook'] {
    const live = this.#options.configurations.get(webhookNames.configuration);
    return live === undefined ? [] : announcedNamespaces(live);
  }

  /** Namespaces that nobody else need rewrite in: where users announce the webhook themselves, which ones is their business. */
  get covered(): Routing['webhook'] {
    return this.#options.settings.managesConfiguration ? this.announced : 'all';
  }

  /** Brings it about; returns the milliseconds after which it wants to be called again. Throws what the API server says. */
  async reconcile(namespaces: Routing['webhook'], signal: AbortSignal): Promise<number> {
    const { certificate, settings } = this.#options;
    const isWanted = namespaces === 'all' || namespaces.length > 0;
    if (!isWanted || !settings.managesConfiguration) await this.#remove(signal);
    const { authorities, afterMs } = await certificate.ensure(signal);
    if (isWanted && settings.managesConfiguration) await this.#announce(authorities, namespaces, signal);
    const refusals = new Refusals();
    await refusals.over(settings.injectInto, (name) => this.#inject(name, authorities, signal));
    refusals.throwIfAny();
    return afterMs;
  }

  async #announce(authorities: string, namespaces: Routing['webhook'], signal: AbortSignal): Promise<void> {
    const { settings, rewrite, applier, configurations } = this.#options;
    const owner = await this.#options.owner(signal);
    // As it is in the moment in which it is compared: what was added since would be taken away again.
    const exclusions = exclusionsOfOthers(configurations.get(webhookNames.configuration) ?? {});
    const input = { settings, rewrite, authorities, namespaces, exclusions, owner };
    await applier.apply(webhookConfiguration(input), signal);
  }

  async #remove(signal: AbortSignal): Promise<void> {
    const { configurations, applier } = this.#options;
    const live = configurations.get(webhookNames.configuration);
    if (live !== undefined && wasAppliedByUs(live)) await applier.delete(live, signal);
  }

  async #inject(name: string, authorities: string, signal: AbortSignal): Promise<void> {
    const { client, configurations, logger } = this.#options;
    const live = configurations.get(name);
    const patch = live && injectionPatch(live, authorities);
    if (live === undefined || patch === undefined) return;
    const { uid = name } = live.metadata;
    this.#pace.wait(uid, authorities, { object: `${live.kind} ${name}`, where: 'caBundle' });
    const options = { contentType: 'json', fieldManager, signal } as const;
    configurations.written(await client.patch(mutatingWebhookConfigurations, { name }, patch, options));
    this.#pace.prune();
    this.#pace.wrote(uid, authorities);
    logger.info({ object: name }, 'Told a webhook configuration the authority');
  }
}

/** Bundles (PEM) that the API server has been told: of our configuration and of the named ones, as far as they exist. */
export function toldBundles(configurations: LiveView, injectInto: readonly string[]): string[] {
  const live = [webhookNames.configuration, ...injectInto].map((name) => configurations.get(name));
  return live.flatMap((each) => (each === undefined ? [] : announcedBundles(each)));
}

/** The ClusterRole that `deploy/` brings as owner of what is made outside `NAMESPACE`; nobody where it is missing or may not be read. */
export async function manifestsAsOwner(client: KubeClient, signal: AbortSignal): Promise<OwnerReference[]> {
  const role = await client
    .getOrUndefined<KubeObject>(clusterRoles, { name: rewritingRole }, { signal })
    .catch((error: unknown) => {
      if (error instanceof ApiError && error.forbidden) return undefined;
      throw error;
    });
  const uid = role?.metadata.uid;
  if (role === undefined || uid === undefined) return [];
  return [
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      name: rewritingRole,
      uid,
      controller: true,
      blockOwnerDeletion: false,
    },
  ];
}
