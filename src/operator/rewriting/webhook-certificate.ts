/**
 * The webhook's certificate, from whichever source was chosen, and the authorities the API server is to trust for it. A renewed authority of our
 * own is announced first; the certificate follows once every configuration has had it for a while, so that no call meets an unknown signer.
 */
import { readFile } from 'node:fs/promises';
import { fieldManager, webhookNames } from '../../api/names.ts';
import type { WebhookCertificateSource } from '../../api/webhook-settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { errorMessage } from '../../observe/error-message.ts';
import { WaitingError } from '../../observe/errors.ts';
import { webhookCertificate, webhookDnsNames, webhookSecret } from '../../resources/webhook.ts';
import type { AuthorityKeeper } from '../certificates/authority-keeper.ts';
import type { Authority } from '../certificates/authority-secret.ts';
import { FormerAuthorities } from '../certificates/former-authorities.ts';
import { leafFault, newLeaf, nextLeafCheck, readLeaf } from '../certificates/leaf.ts';
import { secretText } from '../certificates/secret-text.ts';
import { trustBundle } from '../certificates/trust-bundle.ts';
import type { LiveView } from '../live-view.ts';
import type { Applier } from '../registry-mirror/apply.ts';
import { differs } from '../registry-mirror/differs.ts';
import { wasAppliedByUs } from '../registry-mirror/managed-fields.ts';
import { certificates } from '../resource-types.ts';

export interface WebhookCertificateOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly source: WebhookCertificateSource;
  readonly secrets: LiveView;
  readonly applier: Applier;
  readonly authorities: AuthorityKeeper;
  /** Bundles (PEM) that the API server has been told; those of every configuration that names the webhook. */
  readonly announced: () => readonly string[];
  /** How long a renewed authority is announced before it signs. */
  readonly announceMs?: number;
  readonly now?: () => Date;
}

/** What the API server is to trust, and in how many milliseconds it has to be looked at again. */
export interface WebhookTrust {
  readonly authorities: string;
  readonly afterMs: number;
}

const dailyMs = 86_400_000;
/** Files and Secrets of others are not always watched. */
const lookMs = 60_000;
/** API servers follow configurations within a second; several of them behind one address, some time more. */
const defaultAnnounceMs = 60_000;
/** Where users' Secrets have their authority: ours and cert-manager's key, then imageswap's. */
const authorityKeys = ['ca.crt', 'rootca.pem'] as const;
const certificateKeys = ['tls.crt', 'cert.pem', 'gilly.pem'] as const;

export class WebhookCertificate {
  readonly #options: WebhookCertificateOptions;
  readonly #former = new FormerAuthorities();
  /** Since when all configurations have had this authority. */
  #announcedSince: { readonly authority: string; readonly at: number } | undefined;

  constructor(options: WebhookCertificateOptions) {
    this.#options = options;
  }

  /** Sees to the certificate. Throws `WaitingError` while there is nothing to trust. */
  async ensure(signal: AbortSignal): Promise<WebhookTrust> {
    const { source } = this.#options;
    switch (source.kind) {
      case 'own':
        return this.#own(signal);
      case 'certManager':
        await this.#askCertManager(source.issuer, signal);
        return this.#given(webhookNames.secret);
      case 'secret':
        return this.#given(source.name);
      case 'files':
        return this.#withFormer(await readAuthorities(source.authorityFile), lookMs);
    }
  }

  async #own(signal: AbortSignal): Promise<WebhookTrust> {
    const { namespace, secrets, applier, authorities: keeper } = this.#options;
    const now = this.#options.now?.() ?? new Date();
    const authority = await keeper.get(now, signal);
    const before = readLeaf(secrets.get(`${namespace}/${webhookNames.secret}`));
    const waitMs = before === undefined ? 0 : this.#announcementMs(authority, now);
    const wanted = {
      names: webhookDnsNames(namespace),
      identity: { commonName: webhookNames.service, usages: ['serverAuth'] as const },
      authority,
      renewedSigns: waitMs <= 0,
      now,
    };
    const leaf = before && leafFault(before, wanted) === undefined ? before : await newLeaf(wanted, before);
    if (leaf !== before) await this.#leaveCertManager(signal);
    await applier.apply(webhookSecret(namespace, leaf), signal);
    const authorities = trustBundle([authority.certificatePem, ...authority.previous, leaf.ca], now);
    const nextMs = Math.min(dailyMs, nextLeafCheck(leaf, authority) - now.getTime());
    return { authorities, afterMs: Math.max(1_000, waitMs > 0 ? Math.min(waitMs, nextMs) : nextMs) };
  }

  /** Milliseconds until the authority may sign. */
  #announcementMs({ certificatePem }: Authority, now: Date): number {
    const announceMs = this.#options.announceMs ?? defaultAnnounceMs;
    const everywhere = this.#options.announced().every((bundle) => bundle.includes(certificatePem.trim()));
    if (!everywhere) {
      this.#announcedSince = undefined;
      return announceMs;
    }
    if (this.#announcedSince?.authority !== certificatePem)
      this.#announcedSince = { authority: certificatePem, at: now.getTime() };
    return this.#announcedSince.at + announceMs - now.getTime();
  }

  async #askCertManager(
    issuer: Extract<WebhookCertificateSource, { kind: 'certManager' }>['issuer'],
    signal: AbortSignal,
  ): Promise<void> {
    const { client, namespace } = this.#options;
    const desired = webhookCertificate(namespace, issuer);
    const key = { namespace, name: webhookNames.certificate };
    const live = await client.getOrUndefined(certificates, key, { signal });
    if (!differs(desired, live, { manager: fieldManager })) return;
    await client.apply(certificates, desired, { fieldManager, force: true, signal });
  }

  /** As long as its Certificate is there, cert-manager puts its own pair back, and neither side ever ends. */
  async #leaveCertManager(signal: AbortSignal): Promise<void> {
    const { client, namespace } = this.#options;
    const key = { namespace, name: webhookNames.certificate };
    const live = await client.getOrUndefined(certificates, key, { signal });
    if (live !== undefined && wasAppliedByUs(live)) await client.delete(certificates, key, { signal });
  }

  /** Of a Secret that somebody else writes. Without an authority in it, its certificate is the anchor. */
  #given(name: string): WebhookTrust {
    const { namespace, secrets } = this.#options;
    const secret = secrets.get(`${namespace}/${name}`);
    const now = this.#options.now?.() ?? new Date();
    const text = firstText(secret, authorityKeys) ?? firstText(secret, certificateKeys);
    const authorities = trustBundle([text], now);
    if (authorities !== '') return this.#withFormer(authorities, dailyMs);
    const why = secret === undefined ? 'does not exist' : 'holds no certificate that is valid now';
    throw new WaitingError(
      'WebhookCertificateMissing',
      `Secret ${namespace}/${name} with the webhook's certificate ${why}`,
      lookMs,
    );
  }

  #withFormer(given: string, afterMs: number): WebhookTrust {
    const now = this.#options.now?.() ?? new Date();
    const { authorities, leftMs = afterMs } = this.#former.with(given, this.#options.announced(), now);
    return { authorities, afterMs: Math.min(afterMs, leftMs) };
  }
}

function firstText(secret: KubeObject | undefined, keys: readonly string[]): string | undefined {
  return keys.map((key) => secretText(secret, key)).find((text) => text !== undefined);
}

async function readAuthorities(file: string): Promise<string> {
  const why = (text: string) =>
    new WaitingError('WebhookAuthorityMissing', `WEBHOOK_CA_FILE ${file}: ${text}`, lookMs);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw why(errorMessage(error));
  });
  const authorities = trustBundle([text], new Date());
  if (authorities === '') throw why('holds no certificate that is valid now');
  return authorities;
}
