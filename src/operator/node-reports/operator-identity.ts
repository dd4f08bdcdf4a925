/** Who the operator is to node agents: a certificate of its authority that is in no Secret and on no disk. */
import { createSecureContext, type SecureContext } from 'node:tls';
import { operatorCommonName } from '../../api/names.ts';
import { issueLeaf, type KeyPair } from '../../cache/tls/authority.ts';
import { type Authority, authorityMark, needsRenewal } from '../certificates/authority-secret.ts';
import { trustBundle } from '../certificates/trust-bundle.ts';

/** What an agent that was started with the authority of this mark is asked with. */
export type ContextOf = (mark: string | undefined) => SecureContext;

/** In days; renewed when two thirds are over, or with the authority. */
const validDays = 1;

export class OperatorIdentity {
  /** By the mark of who signed. */
  readonly #pairs = new Map<string, KeyPair>();
  #contexts = new Map<string, SecureContext>();
  #trusted = '';

  /**
   * Returns what to ask agents with now; issues what is missing or old. Agents that were started before an authority was renewed trust
   * the one before alone.
   */
  async prepare(authority: Authority, now: Date): Promise<ContextOf> {
    const trusted = trustBundle([authority.certificatePem, ...authority.previous], now);
    if (trusted !== this.#trusted) this.#contexts = new Map();
    this.#trusted = trusted;
    const own = await this.#contextOf(authority, now);
    const { former } = authority;
    const before = former && { mark: authorityMark(former), context: await this.#contextOf(former, now) };
    this.#forget(new Set([authorityMark(authority), before?.mark]));
    return (mark) => (before !== undefined && mark === before.mark ? before.context : own);
  }

  async #contextOf(signer: KeyPair, now: Date): Promise<SecureContext> {
    const mark = authorityMark(signer);
    const before = this.#pairs.get(mark);
    const isFresh = before !== undefined && !needsRenewal(before, now);
    const pair = isFresh ? before : await issuePair(signer, now);
    const context = isFresh ? this.#contexts.get(mark) : undefined;
    const held = context ?? contextFor(pair, this.#trusted);
    this.#pairs.set(mark, pair);
    this.#contexts.set(mark, held);
    return held;
  }

  #forget(used: ReadonlySet<string | undefined>): void {
    for (const held of [this.#pairs, this.#contexts]) {
      for (const mark of held.keys()) if (!used.has(mark)) held.delete(mark);
    }
  }
}

function issuePair(signer: KeyPair, now: Date): Promise<KeyPair> {
  const commonName = operatorCommonName;
  return issueLeaf(signer, { names: [], commonName, usages: ['clientAuth'], days: validDays, now });
}

function contextFor({ certificatePem, keyPem }: KeyPair, trusted: string): SecureContext {
  return createSecureContext({ cert: certificatePem, key: keyPem, ca: trusted, minVersion: 'TLSv1.2' });
}
