/**
 * Brings the engines about: first whoever takes namespaces on, then whoever gives them up. In between both rewrite, which is harmless: what one
 * made, the other leaves.
 */
import { webhookNames } from '../../api/names.ts';
import type { KubeClient } from '../../kube/client.ts';
import { TerminalError, WaitingError } from '../../observe/errors.ts';
import type { Logger } from '../../observe/log.ts';
import { services } from '../resource-types.ts';
import type { Routing } from './routing.ts';
import type { WebhookKeeper } from './webhook-keeper.ts';

type Namespaces = Routing['webhook'];

/** The part that decides who rewrites where, and sees to the policy. */
export interface PolicyPart {
  /** Who is to rewrite where, by what is known now. */
  routing(signal: AbortSignal): Promise<Routing>;
  /** Gives up only what is `covered`: the namespaces that the webhook has taken on. */
  reconcile(signal: AbortSignal, covered: Namespaces): Promise<number | undefined>;
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
/** How soon it is found out that an installed one is gone. */
const presentLookMs = 60_000;

/** Of one term: what it knows is what was wanted since. */
export class Engines {
  readonly #options: EnginesOptions;
  readonly #now: () => number;
  #wanted: Namespaces | undefined;
  /** What the webhook keeps although it is no longer its; and until when, once the policy was brought about. */
  #overlap: { readonly namespaces: Namespaces; until?: number } | undefined;
  #missing = false;
  /** What was told of what a person has to act on. */
  #stalled: string | undefined;

  constructor(options: EnginesOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Returns the milliseconds after which it wants to be called again. Throws what the API server says, and no `TerminalError`. */
  async reconcile(signal: AbortSignal): Promise<number> {
    const { policy, webhook } = this.#options;
    const { webhook: wanted } = await policy.routing(signal);
    const namespaces = union(this.#kept(wanted), wanted);
    const installed = await this.#isInstalled(namespaces, wanted, signal);
    const [announced] = await Promise.allSettled([webhook.reconcile(installed ? namespaces : [], signal)]);
    // What the webhook could not take on is given up by nobody; whatever else is wrong with it is none of the policy's business.
    const covered = announced.status === 'rejected' && installed ? webhook.covered : 'all';
    const policyMs = await policy.reconcile(signal, covered);
    const leftMs = this.#timeOverlap();
    if (announced.status === 'rejected')
      throw this.#failure(announced.reason, Math.min(policyMs ?? presentLookMs, leftMs ?? presentLookMs));
    this.#stalled = undefined;
    const lookMs = !installed ? absentLookMs : isAny(namespaces) ? presentLookMs : announced.value;
    return Math.min(announced.value, lookMs, policyMs ?? lookMs, leftMs ?? lookMs);
  }

  /** What was the webhook's before, for as long as the policy may not know yet that it is its. */
  #kept(wanted: Namespaces): Namespaces {
    // What another leader announced counts like what was wanted here.
    const before = this.#wanted ?? this.#options.webhook.announced;
    if (!covers(wanted, before))
      this.#overlap = { namespaces: union(this.#overlap?.namespaces ?? [], before) };
    this.#wanted = wanted;
    if (this.#overlap?.until !== undefined && this.#overlap.until <= this.#now()) this.#overlap = undefined;
    return this.#overlap?.namespaces ?? [];
  }

  /** To be called when the policy was brought about; returns the milliseconds for which the webhook still keeps something. */
  #timeOverlap(): number | undefined {
    if (this.#overlap === undefined) return undefined;
    const now = this.#now();
    this.#overlap.until ??= now + (this.#options.overlapMs ?? defaultOverlapMs);
    return Math.max(0, this.#overlap.until - now);
  }

  /** Where a person has to act, everything else here goes on all the same, and much of it by time alone. */
  #failure(error: unknown, afterMs: number): unknown {
    if (!(error instanceof TerminalError)) return error;
    const { reason, message } = error;
    if (message !== this.#stalled)
      this.#options.logger.error({ error }, 'The webhook cannot be announced until a person acts');
    this.#stalled = message;
    return new WaitingError(reason, message, afterMs, { cause: error });
  }

  /** Without its Service every pod would wait for a call that cannot be made. */
  async #isInstalled(namespaces: Namespaces, wanted: Namespaces, signal: AbortSignal): Promise<boolean> {
    if (!isAny(namespaces)) return true;
    const { client, namespace, logger } = this.#options;
    const service = await client.getOrUndefined(
      services,
      { namespace, name: webhookNames.service },
      { signal },
    );
    const missing = service === undefined || service.metadata.deletionTimestamp !== undefined;
    if (missing && !this.#missing && isAny(wanted))
      logger.warn(
        { service: `${namespace}/${webhookNames.service}`, namespaces: wanted },
        'The webhook is not installed: pods that are its to rewrite stay as they are',
      );
    this.#missing = missing && isAny(wanted);
    return !missing;
  }
}

function isAny(namespaces: Namespaces): boolean {
  return namespaces === 'all' || namespaces.length > 0;
}

function union(one: Namespaces, other: Namespaces): Namespaces {
  if (one === 'all' || other === 'all') return 'all';
  return [...new Set([...one, ...other])].sort();
}

/** True where nothing of `other` is missing in `one`. */
function covers(one: Namespaces, other: Namespaces): boolean {
  return String(union(one, other)) === String(union(one, []));
}
