/** Decides which `Authorization` a request carries: what a challenge asked for, and what its sender may be shown. */
import { BoundedMap } from './bounded-map.ts';
import type { Challenge } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { mayShowCredentials, parseRealm } from './realm.ts';
import { basicHeader, type TokenSource } from './token.ts';

/** Where a request goes: `foreign` once a redirect has left the upstream's origin, and for ever after. */
export interface Destination {
  readonly url: URL;
  readonly repository: string;
  readonly foreign: boolean;
}

export interface AuthorizerOptions {
  readonly upstream: URL;
  readonly tokens: TokenSource;
  /** The credentials for a repository as they are now. */
  readonly credentials: (repository: string) => Credentials | undefined;
  readonly tokenHosts?: readonly string[];
  /** Called for each token of a repository that has credentials, with its server (`host[:port]`) and whether that is shown them. */
  readonly onTokenServer?: ((host: string, shown: boolean) => void) | undefined;
}

/** What a place asked for, remembered so that the next request carries it at once. No realm: only a registry token fits. */
type Demand =
  | { readonly scheme: 'basic' }
  | {
      readonly scheme: 'bearer';
      readonly realm: URL | undefined;
      readonly service: string | undefined;
      readonly scope: string;
    };

export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #demands = new BoundedMap<string, Demand>(4096);

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** Returns the header for what this place asked for before; undefined when it never asked, or for nothing we have. */
  async header(destination: Destination, signal: AbortSignal): Promise<string | undefined> {
    const demand = this.#demands.get(repositoryKey(destination)) ?? this.#demands.get(originKey(destination));
    return demand === undefined ? undefined : this.#satisfy(demand, destination, signal);
  }

  /**
   * Takes the challenges of a 401 and the headers refused so far; returns another header to try, or undefined when
   * nothing we have or may show can satisfy it. A token server that fails is made up for by another challenge, else
   * this rejects as `TokenSource.get` does.
   */
  async answer(
    challenges: readonly Challenge[],
    destination: Destination,
    refused: readonly (string | undefined)[],
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const failures: unknown[] = [];
    for (const demand of this.#demandsOf(challenges, destination)) {
      try {
        const header = await this.#satisfy(demand, destination, signal, refused);
        if (header === undefined || refused.includes(header)) continue;
        this.#remember(demand, destination);
        return header;
      } catch (error) {
        if (signal.aborted) throw error;
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return undefined;
  }

  /** Basic has no scope: what one repository asked for, all of them do. */
  #remember(demand: Demand, destination: Destination): void {
    if (demand.scheme === 'basic') this.#demands.delete(repositoryKey(destination));
    const key = demand.scheme === 'basic' ? originKey(destination) : repositoryKey(destination);
    this.#demands.set(key, demand);
  }

  /** Bearer first: a token says less than a password does. */
  #demandsOf(challenges: readonly Challenge[], destination: Destination): Demand[] {
    const bearer = challenges
      .filter(({ scheme }) => scheme === 'bearer')
      .map(
        ({ params }): Demand => ({
          scheme: 'bearer',
          realm: parseRealm(params.get('realm'), this.#options.upstream),
          service: params.get('service'),
          scope: pullScope(params.get('scope'), repositoryAt(destination)),
        }),
      );
    const basic = challenges.some(({ scheme }) => scheme === 'basic');
    return basic ? [...bearer, { scheme: 'basic' }] : bearer;
  }

  async #satisfy(
    demand: Demand,
    destination: Destination,
    signal: AbortSignal,
    refused: readonly (string | undefined)[] = [],
  ): Promise<string | undefined> {
    const credentials = this.#ownCredentials(destination);
    if (demand.scheme === 'basic')
      return credentials?.kind === 'basic' ? basicHeader(credentials) : undefined;
    if (credentials?.kind === 'bearer') return `Bearer ${credentials.token}`;
    const { realm, service, scope } = demand;
    if (realm === undefined) return undefined;
    const request = { realm, service, scope, credentials: this.#shownTo(realm, credentials) };
    const tokens = refused.flatMap((header) => /^Bearer (.*)$/.exec(header ?? '')?.[1] ?? []);
    return `Bearer ${await this.#options.tokens.get(request, signal, tokens)}`;
  }

  /** The repository's credentials where they may go at all: the upstream's own origin, over https. */
  #ownCredentials(destination: Destination): Credentials | undefined {
    const { upstream, credentials } = this.#options;
    const own = !destination.foreign && destination.url.origin === upstream.origin;
    return own && upstream.protocol === 'https:' ? credentials(destination.repository) : undefined;
  }

  #shownTo(realm: URL, credentials: Credentials | undefined): Credentials | undefined {
    if (credentials === undefined) return undefined;
    const { upstream, tokenHosts, onTokenServer } = this.#options;
    const shown = mayShowCredentials(realm, upstream, tokenHosts);
    onTokenServer?.(realm.host, shown);
    return shown ? credentials : undefined;
  }
}

function originKey({ url, foreign }: Destination): string {
  return `${foreign} ${url.origin}`;
}

function repositoryKey(destination: Destination): string {
  return `${originKey(destination)} ${destination.repository}`;
}

/** What a redirect to another registry's API leads to has that registry's name for it. */
function repositoryAt({ url, foreign, repository }: Destination): string {
  const there = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\/[^/]+$/.exec(url.pathname)?.[1];
  return foreign ? (there ?? repository) : repository;
}

/** The challenge's scope with no action but pull: a registry that asks for more does not get it. */
function pullScope(scope: string | undefined, repository: string): string {
  if (scope === undefined || scope.trim() === '') return `repository:${repository}:pull`;
  return scope
    .trim()
    .split(/\s+/)
    .map((one) => one.replace(/^(repository(?:\([a-z0-9]+\))?:.+):[^:]*$/, '$1:pull'))
    .join(' ');
}
