/**
 * Brings the engines about: first whoever takes namespaces on, then whoever gives them up. In between both rewrite, which is harmless: what one
 * made, the other leaves.
 */
import { webhookNames } from '../../api/names.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Logger } from '../../observe/log.ts';
import { services } from '../resource-types.ts';
import type { Routing } from './routing.ts';
import type { WebhookKeeper } from './webhook-keeper.ts';

/** The part that decides who rewrites where, and sees to the policy. */
export interface PolicyPart {
  /** Who is to rewrite where, by what is known now. */
  routing(signal: AbortSignal): Promise<Routing>;
  reconcile(signal: AbortSignal): Promise<number | undefined>;
}

export interface EnginesOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly webhook: WebhookKeeper;
  readonly policy: PolicyPart;
  readonly logger: Logger;
  /** How long the webhook keeps what the policy took on: the API server follows policies with a delay. */
  readonly overlapMs?: number;
  readonly now?: () => number;
}

const defaultOverlapMs = 10_000;
/** How soon a webhook that was not installed is looked for again. */
const absentLookMs = 30_000;

export class Engines {
  readonly #options: EnginesOptions;
  #wanted: Routing['webhook'] | undefined;
  /** What the webhook keeps although it is no longer its, and until when (milliseconds since the epoch). */
  #overlap: { readonly namespaces: Routing['webhook']; readonly until: number } | undefined;
  #missing = false;

  constructor(options: EnginesOptions) {
    this.#options = options;
  }

  /** Returns the milliseconds after which it wants to be called again. Throws what the API server says. */
  async reconcile(signal: AbortSignal): Promise<number> {
    const { policy, webhook } = this.#options;
    const { webhook: wanted } = await policy.routing(signal);
    const installed = await this.#isInstalled(wanted, signal);
    const { namespaces: kept, leftMs } = this.#kept(wanted);
    const webhookMs = await webhook.reconcile(installed ? union(kept, wanted) : [], signal);
    const policyMs = await policy.reconcile(signal);
    return Math.min(
      webhookMs,
      policyMs ?? webhookMs,
      leftMs ?? webhookMs,
      installed ? webhookMs : absentLookMs,
    );
  }

  /** What was the webhook's before, for as long as the policy may not know yet that it is its. */
  #kept(wanted: Routing['webhook']): { namespaces: Routing['webhook']; leftMs?: number } {
    const { webhook, overlapMs = defaultOverlapMs, now = Date.now } = this.#options;
    // After a restart nobody knows what the configuration says in which pass.
    const before = this.#wanted ?? (webhook.isAnnounced ? 'all' : []);
    if (!covers(wanted, before)) {
      const namespaces = union(this.#overlap?.namespaces ?? [], before);
      this.#overlap = { namespaces, until: now() + overlapMs };
    }
    this.#wanted = wanted;
    if (this.#overlap === undefined) return { namespaces: [] };
    const { namespaces, until } = this.#overlap;
    if (now() < until) return { namespaces, leftMs: until - now() };
    this.#overlap = undefined;
    return { namespaces: [] };
  }

  /** Without its Service every pod would wait for a call that cannot be made. */
  async #isInstalled(wanted: Routing['webhook'], signal: AbortSignal): Promise<boolean> {
    if (wanted !== 'all' && wanted.length === 0) return true;
    const { client, namespace, logger } = this.#options;
    const service = await client.getOrUndefined(
      services,
      { namespace, name: webhookNames.service },
      { signal },
    );
    const missing = service === undefined || service.metadata.deletionTimestamp !== undefined;
    if (missing && !this.#missing)
      logger.warn(
        { service: `${namespace}/${webhookNames.service}`, namespaces: wanted },
        'The webhook is not installed: pods that are its to rewrite stay as they are',
      );
    this.#missing = missing;
    return !missing;
  }
}

function union(one: Routing['webhook'], other: Routing['webhook']): Routing['webhook'] {
  if (one === 'all' || other === 'all') return 'all';
  return [...new Set([...one, ...other])].sort();
}

/** True where nothing of `other` is missing in `one`. */
function covers(one: Routing['webhook'], other: Routing['webhook']): boolean {
  return String(union(one, other)) === String(union(one, []));
}
