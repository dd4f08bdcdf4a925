/** Bearer tokens by the distribution token specification: one request in flight per scope, kept until they expire. */
import { BoundedMap } from './bounded-map.ts';
import type { Credentials } from './credentials.ts';
import { elapsedMs } from './elapsed.ts';
import { type LimitedRequest, RateGate } from './rate-gate.ts';
import { discard, readBody } from './read-body.ts';
import type { HttpAnswer, HttpRequest, Transport } from './transport.ts';
import { parseRetryAfter, UpstreamError, UpstreamStatusError } from './upstream-error.ts';
import { waitFor } from './wait-for.ts';

/** Which token is wanted. `credentials` are shown to the realm, so the caller has checked that it may see them. */
export interface TokenRequest {
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scope: string | undefined;
  readonly credentials: Credentials | undefined;
}

/** Moments are those of a clock that nobody sets. */
interface Token {
  readonly text: string;
  readonly fetchedAt: number;
  /** From here on a new one is fetched beside its use. */
  readonly refreshAt: number;
  readonly expiresAt: number;
}

interface Entry {
  token?: Token;
  pending?: Promise<Token>;
  failure?: { readonly error: unknown; readonly until: number };
}

/** A registry that refuses a token this young refuses what it is for: another one would not help. Milliseconds. */
const youngMs = 5_000;
/** A refused token is asked for again only after this, so that a herd costs one question. Milliseconds. */
const failureMs = 2_000;
const requestMs = 15_000;
const maxAnswerBytes = 1024 * 1024;
/** The user name under which docker keeps refresh tokens. */
const tokenUser = '<token>';
/** The specification's default for a missing `expires_in`; a day bounds what a wrong one can do. Seconds. */
const defaultLife = 60;
const longestLife = 86_400;

export class TokenSource {
  readonly #transport: () => Transport;
  readonly #now: () => number;
  readonly #elapsed: () => number;
  readonly #onFetch: () => void;
  readonly #gate: RateGate;
  readonly #entries = new BoundedMap<string, Entry>(4096);
  /** By realm and credentials: until when a token lives that was given for them, whatever its scope. */
  readonly #good = new BoundedMap<string, number>(4096);

  /** `transport` returns the connections to use at the time; `onFetch` is called for every request to a realm. */
  constructor(options: {
    transport: () => Transport;
    now?: () => number;
    onFetch?: () => void;
    gate?: RateGate;
  }) {
    this.#transport = options.transport;
    this.#now = options.now ?? Date.now;
    this.#onFetch = options.onFetch ?? (() => {});
    this.#elapsed = options.now ?? elapsedMs;
    this.#gate = options.gate ?? new RateGate(options.now);
  }

  /**
   * Returns a token, from memory where it lives long enough. `refused` are tokens the registry would not take: they are
   * not returned again, but for one so young that the refusal was not about it. Rejects with `UpstreamStatusError` (401, 403, 429) or `UpstreamError`.
   */
  async get(request: TokenRequest, signal: AbortSignal, refused: readonly string[] = []): Promise<string> {
    const entry = this.#entry(request);
    const now = this.#elapsed();
    if (entry.token !== undefined && !isUsable(entry.token, now, refused)) delete entry.token;
    const failure = entry.failure !== undefined && now < entry.failure.until ? entry.failure : undefined;
    if (entry.token !== undefined) {
      const isOld = entry.token.refreshAt <= now && failure === undefined;
      if (isOld) this.#fetchShared(entry, request).catch(() => {});
      return entry.token.text;
    }
    if (failure !== undefined) throw failure.error;
    // The request belongs to everybody who waits for it: one who goes away does not end it.
    return (await waitFor(this.#fetchShared(entry, request), signal)).text;
  }

  #entry(request: TokenRequest): Entry {
    const { realm, service, scope, credentials } = request;
    const key = JSON.stringify([realm.href, service, scope, credentials]);
    const entry = this.#entries.get(key) ?? {};
    this.#entries.set(key, entry);
    return entry;
  }

  #fetchShared(entry: Entry, request: TokenRequest): Promise<Token> {
    entry.pending ??= this.#fetch(request)
      .then((token) => {
        delete entry.failure;
        entry.token = token;
        return token;
      })
      .catch((error: unknown) => {
        entry.failure = { error, until: this.#elapsed() + failureMs };
        throw error;
      })
      .finally(() => delete entry.pending);
    return entry.pending;
  }

  async #fetch(request: TokenRequest): Promise<Token> {
    const signal = AbortSignal.timeout(requestMs);
    const limited = limitedRequest(request);
    await this.#gate.pass(limited, signal);
    const [started, at] = [this.#elapsed(), this.#now()];
    const answer = await this.#ask(request, signal);
    const bytes = await readBody(answer.body, maxAnswerBytes, request.realm.host);
    if (answer.status === 429) {
      this.#gate.shut(limited, parseRetryAfter(answer.headers['retry-after'], this.#now()));
    }
    if (answer.status !== 200) throw refusal(answer, request, this.#now(), this.#areGood(request));
    const token = parseToken(bytes, { host: request.realm.host, started, at, date: answer.headers['date'] });
    this.#good.set(goodKey(request), token.expiresAt);
    return token;
  }

  #areGood(request: TokenRequest): boolean {
    return (this.#good.get(goodKey(request)) ?? 0) > this.#elapsed();
  }

  /** A server without the OAuth2 variant is shown a refresh token as a password: what is as good as one in its place. */
  async #ask(request: TokenRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const answer = await this.#send(request, signal);
    const { credentials } = request;
    if (credentials?.kind !== 'identity' || (answer.status !== 404 && answer.status !== 405)) return answer;
    await discard(answer);
    const { username = tokenUser, token: password } = credentials;
    return this.#send({ ...request, credentials: { kind: 'basic', username, password } }, signal);
  }

  /** An idle connection that the server closed is no answer: a token may be asked for twice. */
  async #send(request: TokenRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const ask = () => {
      this.#onFetch();
      return this.#transport().send(...httpRequest(request, signal));
    };
    return ask().catch((error: unknown) => {
      if (signal.aborted || !(error instanceof UpstreamError) || error.code !== 'broken') throw error;
      return ask();
    });
  }
}

function isUsable(token: Token, now: number, refused: readonly string[]): boolean {
  const isRefused = refused.includes(token.text) && token.fetchedAt + youngMs <= now;
  return !isRefused && now < token.expiresAt;
}

function goodKey({ realm, credentials }: TokenRequest): string {
  return JSON.stringify([realm.href, credentials]);
}

function limitedRequest({ realm, service, scope, credentials }: TokenRequest): LimitedRequest {
  const subject = JSON.stringify([service, scope, credentials]);
  return { host: realm.host, kind: `${realm.origin} token`, subject };
}

/** GET with Basic or anonymous (token specification); POST with a refresh token (its OAuth2 variant). */
function httpRequest(request: TokenRequest, signal: AbortSignal): [URL, HttpRequest] {
  const { realm, service, scope, credentials } = request;
  const fields = new URLSearchParams();
  if (service !== undefined) fields.set('service', service);
  if (credentials?.kind === 'identity') {
    if (scope !== undefined) fields.set('scope', scope);
    fields.set('grant_type', 'refresh_token');
    fields.set('client_id', 'registry-mirror-operator');
    fields.set('refresh_token', credentials.token);
    const headers = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };
    return [realm, { method: 'POST', headers, body: fields.toString(), signal }];
  }
  // Here each of several is a parameter of its own.
  for (const one of scope?.split(' ') ?? []) fields.append('scope', one);
  const url = new URL(realm);
  for (const [name, value] of fields) url.searchParams.append(name, value);
  const authorization = credentials?.kind === 'basic' ? { authorization: basicHeader(credentials) } : {};
  return [url, { method: 'GET', headers: { accept: 'application/json', ...authorization }, signal }];
}

/** Returns the value of an `Authorization` header for Basic (RFC 7617, UTF-8). */
export function basicHeader(credentials: Extract<Credentials, { kind: 'basic' }>): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`, 'utf8').toString('base64')}`;
}

/** `areGood`: the credentials were given a token lately. Google's and GitHub's servers then say 403 of a repository that is not theirs to read. */
function refusal(answer: HttpAnswer, request: TokenRequest, now: number, areGood: boolean): Error {
  const host = request.realm.host;
  const { status } = answer;
  const retryAfterSeconds = parseRetryAfter(answer.headers['retry-after'], now);
  if (status === 429)
    return new UpstreamStatusError(429, `${host}: too many requests`, { retryAfterSeconds });
  // The OAuth2 variant answers a refresh token it does not know with 400 (RFC 6749 section 5.2).
  const refused =
    status === 401 || status === 403 || (status === 400 && request.credentials?.kind === 'identity');
  if (!refused) return new UpstreamError('token', `${host}: expected a token, got status ${status}`);
  const credentialsRefused = request.credentials !== undefined && !(status === 403 && areGood);
  return new UpstreamStatusError(status === 403 ? 403 : 401, `${host}: token refused`, {
    credentialsRefused,
  });
}

interface TokenAnswer {
  readonly host: string;
  /** When it was asked for, by a clock that nobody sets, and by ours. */
  readonly started: number;
  readonly at: number;
  /** When it was answered, by the server's. */
  readonly date: string | string[] | undefined;
}

function parseToken(bytes: Buffer, { host, started, at, date }: TokenAnswer): Token {
  const answer = parseAnswer(bytes, host);
  // Some servers fill in one of the two and leave the other one empty.
  const text = [answer['token'], answer['access_token']].find((field) => field !== '' && field !== undefined);
  if (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text)) {
    throw new UpstreamError('token', `${host}: expected a field token, got none`);
  }
  const life = lifeLeft(answer, typeof date === 'string' ? Date.parse(date) : at);
  // A fifth of its life, at most half a minute, covers the way of a request that carries it and a slow clock.
  const margin = Math.min(30, life / 5);
  return {
    text,
    fetchedAt: started,
    refreshAt: started + (life - 2 * margin) * 1000,
    expiresAt: started + (life - margin) * 1000,
  };
}

/**
 * Seconds from the answer on, of which `at` (milliseconds) is the moment by the clock that `issued_at` is of: a server may
 * give out a token that it made before. An age that leaves nothing is a wrong clock.
 */
function lifeLeft({ expires_in = defaultLife, issued_at }: Record<string, unknown>, at: number): number {
  const stated = Number(expires_in);
  const life = Number.isFinite(stated) && stated > 0 ? Math.min(stated, longestLife) : defaultLife;
  const age = typeof issued_at === 'string' ? (at - Date.parse(issued_at)) / 1000 : 0;
  return age > 0 && age < life ? life - age : life;
}

function parseAnswer(bytes: Buffer, host: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch {
    // No cause: its message quotes the text.
  }
  throw new UpstreamError('token', `${host}: expected a JSON object from the token server`);
}
