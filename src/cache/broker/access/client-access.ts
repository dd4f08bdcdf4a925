/**
 * What each client of a `passThrough` mirror may read: the upstream's word about its own `Authorization` and one object, remembered
 * for a while. Nothing of the header is kept but a hash with a secret of this process (docs/adr/0011).
 */
import { authorizationKey } from '../../../registry/authorization-key.ts';
import { BoundedMap } from '../../../registry/bounded-map.ts';
import { elapsedMs } from '../../../registry/elapsed.ts';
import type { UpstreamClient } from '../../../registry/upstream-client.ts';
import { UpstreamError, UpstreamStatusError } from '../../../registry/upstream-error.ts';
import { SharedWork } from '../shared-work.ts';
import { clientChallenge } from './client-challenge.ts';
import { askForObject, type ObjectQuestion } from './object-request.ts';

/** `unknown`: the upstream did not say, but for the challenge that a client hears which showed nothing. */
export type Permission =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'unauthorized'; readonly challenge: string | undefined }
  | { readonly kind: 'denied' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown'; readonly challenge?: string };

export type Refusal = Exclude<Permission, { kind: 'allowed' }>;

/** A hundred bytes each. */
const rememberedCount = 32_768;
/** While the upstream is away, what it allowed counts this long at least. Milliseconds. */
const leastOutageMs = 3_600_000;
/** One who was allowed once waits this long for the upstream at most, anybody else as long as a download would. Milliseconds. */
const knownMs = 1_000;
const unknownMs = 20_000;
/** For this long after a refusal or a failure the upstream is not asked again. Milliseconds. */
const failureMs = 1_000;

export interface ClientAccessOptions {
  /** Told what came of each question to the upstream: no error for success. */
  readonly note?: (error?: unknown) => void;
  readonly now?: () => number;
}

export class ClientAccess {
  readonly #client: UpstreamClient;
  readonly #ttlMs: number;
  readonly #note: (error?: unknown) => void;
  readonly #now: () => number;
  readonly #allowedAt = new BoundedMap<string, number>(rememberedCount);
  readonly #known: SharedWork<void>;
  readonly #unknown: SharedWork<void>;
  #challenge: string | undefined;

  constructor(
    client: UpstreamClient,
    ttlMs: number,
    { note = () => undefined, now = elapsedMs }: ClientAccessOptions = {},
  ) {
    this.#client = client;
    this.#ttlMs = ttlMs;
    this.#note = note;
    this.#now = now;
    this.#known = new SharedWork({ limitMs: knownMs, failureMs, now });
    this.#unknown = new SharedWork({ limitMs: unknownMs, failureMs, now });
  }

  /** What the upstream says of this client and object, now or lately. Never rejects but for `signal`. */
  async permission(question: ObjectQuestion): Promise<Permission> {
    const key = keyOf(question);
    const age = this.#age(key);
    if (age < this.#ttlMs) return { kind: 'allowed' };
    const isKnown = age < Math.max(this.#ttlMs, leastOutageMs);
    const work = isKnown ? this.#known : this.#unknown;
    const askedAt = this.#now();
    try {
      await work.run(key, question.signal, (signal) => this.#ask({ ...question, signal }));
      this.#allowedAt.set(key, askedAt);
      return { kind: 'allowed' };
    } catch (error) {
      question.signal.throwIfAborted();
      const refusal = await this.refusal(question, error);
      if (refusal.kind !== 'unknown') return refusal;
      return isKnown ? { kind: 'allowed' } : this.#withChallenge(refusal, question, error);
    }
  }

  /** What a client is told whose question, or request that was allowed before, failed with `error`. A refusal ends what was allowed. */
  async refusal(question: ObjectQuestion, error: unknown): Promise<Refusal> {
    const refusal = refusalOf(error);
    if (refusal.kind === 'unknown') return refusal;
    this.#allowedAt.delete(keyOf(question));
    return this.#withChallenge(refusal, question, error);
  }

  /** What `GET /v2/` answers to this client; the last challenge stands while the upstream is away. */
  async ping(authorization: string | undefined, signal: AbortSignal): Promise<Permission> {
    try {
      await this.#noting(async () => {
        const answer = await this.#client.ping({ authorization: authorization ?? '', signal });
        if (answer.status !== 200) throw await this.#client.refuse(answer);
      });
      return { kind: 'allowed' };
    } catch (error) {
      signal.throwIfAborted();
      const refusal = refusalOf(error);
      if (refusal.kind === 'unauthorized') this.#challenge = clientChallenge(refusal.challenge);
      else if (refusal.kind !== 'unknown' || this.#challenge === undefined) return refusal;
      return { kind: 'unauthorized', challenge: this.#challenge };
    }
  }

  /**
   * Who showed nothing was asked for as anybody: what the upstream would ask of such a client, only it can say. Even where a token server has
   * had enough of us or fails: with credentials of its own the client gets a token itself.
   */
  async #withChallenge(refusal: Refusal, question: ObjectQuestion, error: unknown): Promise<Refusal> {
    const { kind } = refusal;
    if (kind === 'unauthorized' && refusal.challenge !== undefined) {
      return { kind, challenge: clientChallenge(refusal.challenge) };
    }
    const mayBeAsked = kind !== 'absent' && question.authorization === undefined && wasAnswered(error);
    if (kind !== 'unauthorized' && !mayBeAsked) return refusal;
    const challenge = await this.#challengeOf(question);
    return challenge === undefined
      ? refusal
      : { kind: kind === 'unknown' ? kind : 'unauthorized', challenge };
  }

  async #challengeOf(question: ObjectQuestion): Promise<string | undefined> {
    const asked = { ...question, authorization: '' };
    const error: unknown = await this.#unknown
      .run(keyOf(asked), question.signal, (signal) => this.#ask({ ...asked, signal }))
      .catch((reason: unknown) => reason);
    const refusal = refusalOf(error);
    return refusal.kind === 'unauthorized' ? clientChallenge(refusal.challenge) : undefined;
  }

  #ask(question: ObjectQuestion): Promise<void> {
    return this.#noting(() => askForObject(this.#client, question));
  }

  async #noting(ask: () => Promise<void>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      this.#note(error);
      throw error;
    }
    this.#note();
  }

  #age(key: string): number {
    const at = this.#allowedAt.get(key);
    return at === undefined ? Number.POSITIVE_INFINITY : this.#now() - at;
  }
}

/** Absent and empty are two questions: as anybody, and to hear the challenge. */
function keyOf({ route, repository, authorization }: ObjectQuestion): string {
  const object =
    route.kind === 'blob' ? route.digest.text : route.kind === 'list' ? route.path : route.reference;
  return `${authorizationKey(authorization)} ${route.kind} ${repository} ${object}`;
}

function refusalOf(error: unknown): Refusal {
  const status = error instanceof UpstreamStatusError ? error.status : undefined;
  if (error instanceof UpstreamStatusError && status === 401)
    return { kind: 'unauthorized', challenge: error.challenge };
  if (status === 403) return { kind: 'denied' };
  return status === 404 ? { kind: 'absent' } : { kind: 'unknown' };
}

/** By the upstream or a token server. Whoever did not answer would only be waited for once more. */
function wasAnswered(error: unknown): boolean {
  return error instanceof UpstreamStatusError || (error instanceof UpstreamError && error.code === 'token');
}
