/**
 * The operator's part of image rewriting: follows the rules, and brings about what they need outside of pods. The main file of this folder; used
 * by `src/operator/operator.ts`. Nothing here rewrites: that is done by the webhook and by the API server.
 */
import { caSecretName, webhookNames } from '../../api/names.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { WebhookSettings } from '../../api/webhook-settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { WorkQueue } from '../../kube/work-queue.ts';
import type { Logger } from '../../observe/log.ts';
import { RuleWatch } from '../../rewriting/rule-watch.ts';
import { AuthorityKeeper } from '../certificates/authority-keeper.ts';
import { LiveView } from '../live-view.ts';
import { Applier } from '../registry-mirror/apply.ts';
import { mutatingWebhookConfigurations } from '../resource-types.ts';
import { homeOf, type Views } from '../views.ts';
import { Engines } from './engines.ts';
import { onImageMapChanges } from './image-map-changes.ts';
import { ImageMapStatuses } from './image-map-statuses.ts';
import { MapFaults } from './map-faults.ts';
import { PolicyWork } from './policy-work.ts';
import { WebhookCertificate } from './webhook-certificate.ts';
import { manifestsAsOwner, toldBundles, WebhookKeeper } from './webhook-keeper.ts';

export interface RewritingOptions {
  readonly client: KubeClient;
  readonly settings: OperatorSettings & { readonly rewriting: NonNullable<OperatorSettings['rewriting']> };
  readonly views: Views;
  readonly maxPauseMs: number;
  readonly logger: Logger;
}

const notReadMs = 500;
/** Keys in the queue; no mirror's name has a slash. */
const keys = {
  imageMaps: 'rewriting/image-maps',
  mapFaults: 'rewriting/map-faults',
  engines: 'rewriting/engines',
} as const;

type Key = (typeof keys)[keyof typeof keys];

/** Makes one thing as it should be; returns the milliseconds after which it wants to be called again. */
interface Part {
  reconcile(signal: AbortSignal): Promise<number | undefined>;
}

export class Rewriting {
  readonly #options: RewritingOptions;
  readonly #rules: RuleWatch;
  readonly #imageMaps: LiveView;
  readonly #policy: PolicyWork;
  readonly #webhook: WebhookKeeper;

  constructor(options: RewritingOptions) {
    this.#options = options;
    const { client, settings, maxPauseMs, logger } = options;
    this.#rules = new RuleWatch({ client, settings: settings.rewriting.rules, maxPauseMs, logger });
    this.#imageMaps = new LiveView(this.#rules.imageMaps, { theirSpec: true });
    this.#policy = new PolicyWork({
      client,
      settings: settings.rewriting.rules,
      rules: this.#rules,
      owner: (signal) => manifestsAsOwner(client, signal),
      maxPauseMs,
      logger,
    });
    this.#webhook = webhookKeeper(options);
  }

  /** True once everything that rules are made from was read. */
  get synced(): boolean {
    return this.#rules.synced;
  }

  /** Whether the API server was told of our webhook. */
  get webhookAnnounced(): boolean {
    return this.#webhook.isAnnounced;
  }

  /** Follows the rules until `signal` is aborted; both replicas do. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#rules.run(signal), this.#policy.run(signal)]);
  }

  /**
   * What the leader does: puts keys into the queue, now and at each change that concerns them, and handles them. Handlers return the milliseconds
   * after which they are to be called again, and throw what the API server says.
   */
  lead(queue: WorkQueue, events: EventRecorder): RewritingLead {
    const { client, settings, logger } = this.#options;
    const { namespace } = settings;
    const shared = { client, rules: this.#rules, events, logger };
    // Anew in each term: what the last one wanted may not be what another leader has announced since.
    const engines = new Engines({
      ...{ client, namespace, logger },
      webhook: this.#webhook,
      policy: this.#policy,
    });
    const parts = new Map<string, Part>([
      [keys.imageMaps, new ImageMapStatuses({ ...shared, view: this.#imageMaps })],
      [keys.mapFaults, new MapFaults(shared)],
      [keys.engines, engines],
    ] satisfies [Key, Part][]);
    return { handler: (key) => this.#handler(key, parts.get(key)), end: this.#enqueue(queue) };
  }

  #handler(key: string, part: Part | undefined) {
    if (part === undefined) return undefined;
    return async (signal: AbortSignal) => {
      // Who reads them tells once why that fails; a line for each look would be two a second.
      if (!this.synced || (key === keys.engines && !this.#policy.synced)) return notReadMs;
      return part.reconcile(signal);
    };
  }

  #enqueue(queue: WorkQueue): () => void {
    const { views, settings } = this.#options;
    const names = secretsOf(settings.rewriting.webhook);
    const add = (key: Key) => () => queue.add(key);
    const ends = [
      onImageMapChanges(this.#rules, this.#imageMaps, add(keys.imageMaps)),
      this.#rules.subscribe(add(keys.mapFaults)),
      this.#rules.subscribe(add(keys.engines)),
      this.#rules.namespaces.subscribe(add(keys.engines)),
      this.#policy.subscribe(add(keys.engines)),
      views.webhookConfigurations?.subscribe(add(keys.engines)),
      views.secrets.subscribe(({ object }) => {
        if (names.includes(object.metadata.name)) queue.add(keys.engines);
      }),
    ];
    for (const key of Object.values(keys)) queue.add(key);
    return () => {
      for (const end of ends) end?.();
    };
  }
}

/** The leader's part; `end` ends the subscriptions. */
export interface RewritingLead {
  /** The handler of a key; undefined for keys that are not of this folder. */
  handler(key: string): ((signal: AbortSignal) => Promise<number | undefined>) | undefined;
  end(): void;
}

/** The authority, and the Secrets a certificate of the webhook may be in. */
function secretsOf({ certificate }: WebhookSettings): string[] {
  return [caSecretName, webhookNames.secret, ...(certificate.kind === 'secret' ? [certificate.name] : [])];
}

function webhookKeeper({ client, settings, views, logger }: RewritingOptions): WebhookKeeper {
  const { namespace, rewriting } = settings;
  const { secrets, webhookConfigurations: configurations } = views;
  if (configurations === undefined) throw new TypeError('Webhook configurations are not watched');
  const applier = new Applier({
    client,
    logger,
    home: (object) =>
      object.kind === mutatingWebhookConfigurations.kind
        ? { type: mutatingWebhookConfigurations, view: configurations }
        : homeOf(object, views),
  });
  const certificate = new WebhookCertificate({
    client,
    namespace,
    source: rewriting.webhook.certificate,
    secrets,
    applier,
    authorities: new AuthorityKeeper({ client, namespace, secrets, logger }),
    announced: () => toldBundles(configurations, rewriting.webhook.injectInto),
  });
  return new WebhookKeeper({
    client,
    rewrite: rewriting.rules,
    settings: rewriting.webhook,
    configurations,
    certificate,
    applier,
    owner: (signal) => manifestsAsOwner(client, signal),
    logger,
  });
}
