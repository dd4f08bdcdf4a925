/**
 * The OCI distribution client of one upstream: authorization and redirects of single requests. Used by the broker's
 * miss path; imports nothing of mirrors. What it sends where: credentials and tokens to the upstream's own origin
 * only, nothing to anybody else but what that place itself asked for anonymously.
 */
import { authorizationKey } from './authorization-key.ts';
import { Authorizer, type AuthorizerOptions, type Destination } from './authorizer.ts';
import { challengeText, parseChallenges } from './challenge.ts';
import { type CredentialSource, noCredentials } from './credentials.ts';
import { type LimitedRequest, RateGate } from './rate-gate.ts';
import { parseRateLimit } from './rate-limit.ts';
import { discard } from './read-body.ts';
import { isRedirect, maxHops, redirectTarget } from './redirect.ts';
import { Sender } from './sender.ts';
import { TokenSource } from './token.ts';
import type { HttpAnswer, Transport } from './transport.ts';
import type { UpstreamCounters } from './upstream-counters.ts';
import { parseRetryAfter, toUpstreamError, UpstreamError, UpstreamStatusError } from './upstream-error.ts';

export interface UpstreamRequest {
  readonly method: 'GET' | 'HEAD';
  /** As the upstream knows it, path prefix and `library/` included. */
  readonly repository: string;
  /** Below the repository: `manifests/latest`, `blobs/sha256:...`, with a query if there is one. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The client's own `Authorization`, empty where it has none: the only one the upstream is shown, over https and on its
   * own origin. Nothing comes of it for other requests. Absent: the mirror's own credentials and tokens.
   */
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
}

export interface UpstreamAnswer extends HttpAnswer {
  /** Where the answer came from after redirects. */
  readonly url: URL;
  /** True when that is, or went through, another origin than the upstream's. */
  readonly foreign: boolean;
  /** True when the upstream was shown the mirror's credentials and would not take them. */
  readonly credentialsRefused: boolean;
  /** What the upstream asks the client for (`WWW-Authenticate` of a 401), where it was shown the client's own header. */
  readonly challenge: string | undefined;
}

export interface UpstreamClientOptions {
  readonly origin: URL;
  /** The connections to use at the time. */
  readonly transport: () => Transport;
  /** The credentials of a repository, as the upstream knows it. */
  readonly credentials: (repository: string) => CredentialSource;
  readonly tokenHosts?: readonly string[] | undefined;
  readonly counters: UpstreamCounters;
  readonly onTokenServer?: AuthorizerOptions['onTokenServer'];
  readonly now?: () => number;
}

/** How often a 401 is answered within one request: another token, another scheme. */
const maxAnswers = 3;

/** How often credentials may change while one request is made; it is made anew each time. */
const maxRotations = 3;

export class UpstreamClient {
  readonly counters: UpstreamCounters;
  readonly #options: UpstreamClientOptions;
  readonly #authorizer: Authorizer;
  readonly #sender: Sender;
  readonly #gate: RateGate;
  readonly #now: () => number;

  constructor(options: UpstreamClientOptions) {
    this.#options = options;
    this.counters = options.counters;
    const { transport, counters, credentials, origin } = options;
    const now = options.now ?? Date.now;
    this.#now = now;
    this.#gate = new RateGate(options.now);
    this.#sender = new Sender(transport, counters);
    const tokens = new TokenSource({ transport, now, gate: this.#gate, onFetch: () => counters.tokens++ });
    this.#authorizer = new Authorizer({
      upstream: origin,
      tokens,
      credentials: (repository) => credentials(repository).current(),
      tokenHosts: options.tokenHosts ?? [],
      onTokenServer: options.onTokenServer,
    });
  }

  get origin(): URL {
    return this.#options.origin;
  }

  /** Asks the upstream and returns what it or the place it redirects to answers, of whatever status but a redirect. */
  request(request: UpstreamRequest): Promise<UpstreamAnswer> {
    const url = this.urlOf(request);
    return this.#asked({ url, repository: request.repository, foreign: false }, request);
  }

  /** Where the upstream itself has it. */
  urlOf({ repository, path }: Pick<UpstreamRequest, 'repository' | 'path'>): URL {
    return new URL(`/v2/${repository}/${path}`, this.#options.origin);
  }

  /** Asks for `/v2/` itself, by which a registry tells whether it wants to know who asks. */
  ping(request: Pick<UpstreamRequest, 'authorization' | 'signal'>): Promise<UpstreamAnswer> {
    const url = new URL('/v2/', this.#options.origin);
    const asked = { ...request, method: 'GET', repository: '', path: '', headers: {} } as const;
    return this.#asked({ url, repository: '', foreign: false }, asked);
  }

  /** Asks the target of an earlier redirect; one that is `foreign` without credentials. */
  requestAt(
    { url, foreign }: Pick<Destination, 'url' | 'foreign'>,
    request: UpstreamRequest,
  ): Promise<UpstreamAnswer> {
    return this.#asked({ url, repository: request.repository, foreign }, request);
  }

  /** The error for an answer of a status nobody wants; ends its body. */
  async refuse(answer: UpstreamAnswer): Promise<UpstreamStatusError> {
    await discard(answer);
    const retryAfterSeconds = parseRetryAfter(answer.headers['retry-after'], this.#now());
    const message = `${answer.url.host}: answered ${answer.status}`;
    const { status, credentialsRefused, challenge } = answer;
    return new UpstreamStatusError(status, message, { retryAfterSeconds, credentialsRefused, challenge });
  }

  /** Whatever was being waited for when the time was over, it is the same failure. */
  async #asked(start: Destination, request: UpstreamRequest): Promise<UpstreamAnswer> {
    try {
      return await this.#follow(start, request);
    } catch (error) {
      if (request.signal.aborted) throw toUpstreamError(request.signal.reason, start.url.host);
      throw error;
    }
  }

  async #follow(start: Destination, request: UpstreamRequest): Promise<UpstreamAnswer> {
    let destination = start;
    for (let hop = 0; hop <= maxHops; hop++) {
      const answer = await this.#gated(destination, request);
      if (!isRedirect(answer.status)) return this.#judged(answer, destination, request);
      await discard(answer);
      this.counters.redirects++;
      destination = redirectTarget(destination, answer.headers['location'], this.origin);
    }
    throw new UpstreamError('redirect', `${start.url.host}: expected at most ${maxHops} redirects, got more`);
  }

  /** A 429 is not only answered, it is heeded. What is left of a limit is the mirror's to know where it was the one who asked. */
  async #gated(destination: Destination, request: UpstreamRequest): Promise<HttpAnswer> {
    const limited = limitedRequest(destination, request);
    await this.#gate.pass(limited, request.signal);
    const answer = await this.#allowed(destination, request);
    if (answer.status === 429) {
      this.#gate.shut(limited, parseRetryAfter(answer.headers['retry-after'], this.#now()));
    }
    const isOwn = !destination.foreign && request.authorization === undefined;
    const told = isOwn ? parseRateLimit(answer.headers) : undefined;
    if (told !== undefined) this.counters.rateLimit = told;
    return answer;
  }

  #judged(answer: HttpAnswer, destination: Destination, request: UpstreamRequest): UpstreamAnswer {
    const { url, foreign } = destination;
    const isRefusal = answer.status === 401 && !foreign && this.origin.protocol === 'https:';
    const ofClient = request.authorization !== undefined;
    return {
      ...answer,
      url,
      foreign,
      credentialsRefused: isRefusal && !ofClient && this.#wereCredentialsRefused(answer, destination),
      challenge: isRefusal && ofClient ? challengeText(answer.headers['www-authenticate']) : undefined,
    };
  }

  /** A client's own header is sent as it is; whatever comes back is for the client. Elsewhere nobody is known. */
  #allowed(destination: Destination, request: UpstreamRequest): Promise<HttpAnswer> {
    const { authorization } = request;
    if (authorization === undefined || destination.foreign) return this.#authorized(destination, request);
    const mayBeShown = this.origin.protocol === 'https:' && authorization !== '';
    return this.#send(destination.url, request, mayBeShown ? authorization : undefined);
  }

  /**
   * A refusal makes the credentials be read again at once; where they are others by then, it is all done once more. 403
   * is what some registries say of credentials that have expired.
   */
  async #authorized(destination: Destination, request: UpstreamRequest): Promise<HttpAnswer> {
    const source = destination.foreign ? noCredentials : this.#options.credentials(destination.repository);
    for (let left = maxRotations; ; left--) {
      const shown = source.current();
      const haveChanged = async () => {
        await source.reread();
        return left > 0 && source.current() !== shown;
      };
      try {
        const answer = await this.#attempt(destination, request);
        const isRefusal = answer.status === 401 || answer.status === 403;
        if (!isRefusal || !(await haveChanged())) return answer;
        await discard(answer);
      } catch (error) {
        const refused = error instanceof UpstreamStatusError && error.credentialsRefused;
        if (!refused || !(await haveChanged())) throw error;
      }
    }
  }

  /** Sends with what this place asked for before, then with what its 401s ask for, as long as that is something new. */
  async #attempt(destination: Destination, request: UpstreamRequest): Promise<HttpAnswer> {
    const refused: (string | undefined)[] = [];
    let header = await this.#authorizer.header(destination, request.signal);
    for (;;) {
      const answer = await this.#send(destination.url, request, header);
      if (answer.status !== 401) return answer;
      refused.push(header);
      const next = await this.#next(answer, destination, refused, request.signal);
      if (next === undefined) return answer;
      await discard(answer);
      header = next;
    }
  }

  async #next(
    answer: HttpAnswer,
    destination: Destination,
    refused: readonly (string | undefined)[],
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (refused.length > maxAnswers) return undefined;
    const challenges = parseChallenges(answer.headers['www-authenticate']);
    try {
      return await this.#authorizer.answer(challenges, destination, refused, signal);
    } catch (error) {
      await discard(answer);
      throw error;
    }
  }

  #send(url: URL, request: UpstreamRequest, authorization: string | undefined): Promise<HttpAnswer> {
    const headers = authorization === undefined ? request.headers : { ...request.headers, authorization };
    return this.#sender.send(url, { method: request.method, headers, signal: request.signal });
  }

  #wereCredentialsRefused(answer: HttpAnswer, { repository }: Destination): boolean {
    const kind = this.#options.credentials(repository).current()?.kind;
    if (kind === undefined) return false;
    // After a token it is the repository that is refused: Docker Hub says 401 for what does not exist.
    const wantsToken = parseChallenges(answer.headers['www-authenticate']).some(
      ({ scheme }) => scheme === 'bearer',
    );
    return kind === 'bearer' || !wantsToken;
  }
}

/** Registries limit manifests and not blobs, or GET and not HEAD; a client of its own has limits of its own. */
function limitedRequest({ url, repository }: Destination, request: UpstreamRequest): LimitedRequest {
  const [what] = request.path.split('/');
  return {
    host: url.host,
    kind: `${url.origin} ${request.method} ${what}`,
    subject: `${repository} ${authorizationKey(request.authorization)}`,
  };
}
