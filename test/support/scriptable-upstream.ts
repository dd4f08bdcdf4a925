/**
 * An in-process registry that can be told to fail in ways a real one cannot, and counts what is asked of it. It has two
 * origins: the registry itself and a `cdn` that redirects lead to. Its good behaviour is checked against
 * docker-registry's by `test/integration/broker-registry.test.ts`.
 */
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type ServerOptions, Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Faults, sendBytes } from './scriptable-faults.ts';
import { noteAuthorization, noteSecret } from './secrets.ts';

export interface SeenRequest {
  readonly origin: 'registry' | 'cdn' | 'token';
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** The address the connection came from. */
  readonly from: string;
}

/** How the registry wants to be asked. `bearer`: tokens of `/token`, for which `username` and `password` may be needed. */
export interface AuthScript {
  kind: 'none' | 'basic' | 'bearer';
  username?: string;
  password?: string;
  /** Stated `expires_in`, in seconds. */
  expiresIn?: number;
  /** The challenge's scope; without it the challenge has none. */
  scope?: string;
  /** The whole `WWW-Authenticate` instead of the challenge that fits. */
  challenge?: string;
  /** Status for an `Authorization` that does not fit, instead of 401. */
  refusal?: number;
  /** Instead of the registry's own `/token`. */
  realm?: string;
  /** Status of every answer of `/token`. */
  tokenStatus?: number;
  /** Instead of a token. */
  tokenBody?: string;
  /** Wait before each answer of `/token`, in milliseconds. */
  tokenDelayMs?: number;
}

/** Where blobs and manifests are redirected to; `uses`: how often each signed URL works. */
export interface RedirectScript {
  blobs?: boolean | string;
  manifests?: boolean | string;
  status?: number;
  uses?: number;
}

export interface ScriptableUpstream {
  /** `host:port` of the registry and of the second origin. */
  readonly host: string;
  readonly cdnHost: string;
  readonly scheme: 'http' | 'https';
  auth: AuthScript;
  redirect: RedirectScript;
  /** A repository that no token opens. */
  denied: string | undefined;
  /** The status with which a client is refused by its `Authorization`; undefined: it is not. 401 comes with the challenge. */
  refuses: ((authorization: string | undefined, path: string) => number | undefined) | undefined;
  faults: Faults;
  cdnFaults: Faults;
  /** Demands a token of its own on the second origin, for manifests redirected there. */
  cdnAuth: AuthScript;
  /** How a list of tags goes on: by which parameter of the query, and what is said of the next page's target. */
  listPages: { parameter: string; link: (target: string) => string | string[] };
  readonly seen: SeenRequest[];
  readonly counters: { requests: number; bytes: number; tokens: number; redirects: number };
  addBlob(bytes: Buffer): string;
  /** Returns the digest; `tag` makes it reachable by name as well. */
  addManifest(repository: string, tag: string | undefined, manifest: object, mediaType?: string): string;
  /** Sends the headers of a challenge and never the end of its body. */
  endlessChallenge: boolean;
  /** Closes so many connections instead of answering a request on them. */
  dropConnections(count: number): void;
  /** Ends every connection, idle ones included; new ones are served. */
  closeConnections(): void;
  /** Shows another certificate from now on. */
  setCertificate(tls: { cert: string; key: string }): void;
  /** No token given out so far is taken any more. */
  revokeTokens(): void;
  close(): Promise<void>;
}

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';

/** Starts it on free ports of `address` (default 127.0.0.1). */
export async function startScriptableUpstream(
  options: { tls?: ServerOptions; address?: string; cdnAddress?: string } = {},
): Promise<ScriptableUpstream> {
  const state = new State(options.tls === undefined ? 'http' : 'https');
  const make = (origin: 'registry' | 'cdn') => {
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      response.on('error', () => {});
      state.handle(origin, request, response).catch(() => response.destroy());
    };
    return options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
  };
  state.servers = [make('registry'), make('cdn')];
  const address = options.address ?? '127.0.0.1';
  [state.host, state.cdnHost] = await Promise.all([
    listen(state.servers[0]!, address),
    listen(state.servers[1]!, options.cdnAddress ?? address),
  ]);
  return state;
}

async function listen(server: Server, address: string): Promise<string> {
  server.listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return `${address}:${port}`;
}

class State implements ScriptableUpstream {
  readonly scheme: 'http' | 'https';
  host = '';
  cdnHost = '';
  auth: AuthScript = { kind: 'none' };
  cdnAuth: AuthScript = { kind: 'none' };
  redirect: RedirectScript = {};
  denied: string | undefined;
  refuses: ScriptableUpstream['refuses'];
  faults: Faults = {};
  cdnFaults: Faults = {};
  listPages: ScriptableUpstream['listPages'] = {
    parameter: 'last',
    link: (target) => `<${target}>; rel="next"`,
  };
  readonly seen: SeenRequest[] = [];
  readonly counters = { requests: 0, bytes: 0, tokens: 0, redirects: 0 };
  servers: Server[] = [];
  readonly #blobs = new Map<string, Buffer>();
  readonly #manifests = new Map<string, { bytes: Buffer; mediaType: string; digest: string }>();
  readonly #tokens = new Map<string, number>();
  readonly #signed = new Map<string, number>();

  constructor(scheme: 'http' | 'https') {
    this.scheme = scheme;
  }

  addBlob(bytes: Buffer): string {
    const digest = sha256(bytes);
    this.#blobs.set(digest, bytes);
    return digest;
  }

  addManifest(
    repository: string,
    tag: string | undefined,
    manifest: object,
    mediaType = ociManifest,
  ): string {
    const bytes = Buffer.from(JSON.stringify(manifest));
    const entry = { bytes, mediaType, digest: sha256(bytes) };
    this.#manifests.set(`${repository} ${entry.digest}`, entry);
    if (tag !== undefined) this.#manifests.set(`${repository} ${tag}`, entry);
    return entry.digest;
  }

  endlessChallenge = false;
  #drops = 0;

  dropConnections(count: number): void {
    this.#drops = count;
  }

  closeConnections(): void {
    for (const server of this.servers) server.closeAllConnections();
  }

  setCertificate(tls: { cert: string; key: string }): void {
    for (const server of this.servers) if (server instanceof TlsServer) server.setSecureContext(tls);
    this.closeConnections();
  }

  revokeTokens(): void {
    this.#tokens.clear();
  }

  async close(): Promise<void> {
    for (const server of this.servers) {
      server.close();
      server.closeAllConnections();
    }
    await Promise.all(
      this.servers.filter((server) => server.listening).map((server) => once(server, 'close')),
    );
  }

  async handle(
    origin: 'registry' | 'cdn',
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const url = new URL(request.url ?? '/', `${this.scheme}://${request.headers.host}`);
    const isToken = url.pathname.endsWith('token');
    const { method = 'GET', headers } = request;
    const from = request.socket.remoteAddress ?? '';
    noteAuthorization(headers.authorization);
    this.seen.push({ origin: isToken ? 'token' : origin, method, url: request.url ?? '', headers, from });
    if (isToken) return this.#token(origin, url, request, response);
    this.counters.requests++;
    if (this.#drops-- > 0) {
      response.socket?.destroy();
      return;
    }
    const faults = origin === 'cdn' ? this.cdnFaults : this.faults;
    const delayMs = (method === 'HEAD' ? faults.headDelayMs : undefined) ?? faults.delayMs;
    if (delayMs !== undefined) await delay(delayMs, undefined, { ref: false });
    const script = origin === 'cdn' ? this.cdnAuth : this.auth;
    const isDenied = this.denied !== undefined && url.pathname.startsWith(`/v2/${this.denied}/`);
    if (isDenied || !this.#admits(script, headers.authorization)) {
      const status = headers.authorization === undefined ? 401 : (script.refusal ?? 401);
      return this.#challenge(origin, script, status, response);
    }
    const refusal = origin === 'registry' ? this.refuses?.(headers.authorization, url.pathname) : undefined;
    if (refusal !== undefined) return this.#challenge(origin, script, refusal, response);
    if (faults.headStatus !== undefined && method === 'HEAD') {
      response.writeHead(faults.headStatus).end();
      return;
    }
    if (faults.status !== undefined) {
      const retry = faults.retryAfter === undefined ? {} : { 'Retry-After': faults.retryAfter };
      response.writeHead(faults.status, retry).end();
      return;
    }
    if (faults.portal) {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>Please log in</html>');
      return;
    }
    return this.#object(origin, url, request, response, faults);
  }

  async #object(
    origin: 'registry' | 'cdn',
    url: URL,
    request: IncomingMessage,
    response: ServerResponse,
    faults: Faults,
  ): Promise<void> {
    const [, repository = '', kind = '', name = ''] =
      /^\/v2\/(.+)\/(blobs|manifests|tags)\/([^/]+)$/.exec(url.pathname) ?? [];
    const wanted = kind === 'blobs' ? this.redirect.blobs : this.redirect.manifests;
    const isSigned = url.searchParams.has('sig');
    if (origin === 'registry' && wanted && !isSigned) return this.#redirectTo(wanted, url, response);
    if (isSigned && !this.#isValid(url)) {
      response.writeHead(403).end('expired');
      return;
    }
    if (kind === 'tags') return this.#tags(repository, url, response);
    const count = (bytes: number) => (this.counters.bytes += bytes);
    const blob = kind === 'blobs' ? this.#blobs.get(name) : undefined;
    if (blob !== undefined) {
      return sendBytes(request, response, blob, {
        faults,
        count,
        headers: { 'Content-Type': 'application/octet-stream' },
      });
    }
    const manifest = kind === 'manifests' ? this.#manifests.get(`${repository} ${name}`) : undefined;
    if (manifest === undefined) {
      const body = JSON.stringify({ errors: [{ code: 'UNKNOWN', message: 'not here' }] });
      response.writeHead(404, { 'Content-Type': 'application/json' }).end(body);
      return;
    }
    const digest = faults.statedDigest ?? manifest.digest;
    const stated = digest === 'none' ? {} : { 'Docker-Content-Digest': digest };
    await sendBytes(request, response, manifest.bytes, {
      faults,
      count,
      headers: { 'Content-Type': manifest.mediaType, ...stated },
    });
  }

  /** All tags in the order in which they were added, in pages of `n`. */
  #tags(repository: string, url: URL, response: ServerResponse): void {
    const names = [...this.#manifests.keys()].map((key) => key.split(' '));
    const all = names.flatMap(([own, name = '']) =>
      own === repository && !name.includes(':') ? [name] : [],
    );
    if (all.length === 0) {
      response.writeHead(404, { 'Content-Type': 'application/json' }).end('{"errors":[]}');
      return;
    }
    const { parameter, link: linkOf } = this.listPages;
    const start = all.indexOf(url.searchParams.get(parameter) ?? '') + 1;
    const tags = all.slice(start, start + Number(url.searchParams.get('n') ?? all.length));
    const rest = `${url.pathname}?${parameter}=${tags.at(-1)}&n=${url.searchParams.get('n')}`;
    const link = start + tags.length < all.length ? { Link: linkOf(rest) } : {};
    response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', ...link });
    response.end(JSON.stringify({ name: repository, tags }));
  }

  #redirectTo(wanted: true | string, url: URL, response: ServerResponse): void {
    this.counters.redirects++;
    const signature = randomUUID();
    noteSecret(signature);
    this.#signed.set(signature, this.redirect.uses ?? Number.POSITIVE_INFINITY);
    const signed = `${url.pathname}?sig=${signature}`;
    const known = wanted === true ? `${this.scheme}://${this.cdnHost}${signed}` : wanted;
    const location = wanted === 'within' ? signed : known;
    response.writeHead(this.redirect.status ?? 307, { Location: location }).end();
  }

  #isValid(url: URL): boolean {
    const signature = url.searchParams.get('sig') ?? '';
    const left = this.#signed.get(signature) ?? 0;
    this.#signed.set(signature, left - 1);
    return left > 0;
  }

  #admits(script: AuthScript, authorization = ''): boolean {
    if (script.kind === 'none') return true;
    if (script.kind === 'basic') return authorization === basic(script);
    return (this.#tokens.get(authorization.replace(/^Bearer /, '')) ?? 0) > Date.now();
  }

  #challenge(origin: 'registry' | 'cdn', script: AuthScript, status: number, response: ServerResponse): void {
    const host = origin === 'cdn' ? this.cdnHost : this.host;
    const realm = script.realm ?? `${this.scheme}://${host}/token`;
    const fitting =
      script.kind === 'basic'
        ? 'Basic realm="upstream"'
        : `Bearer realm="${realm}",service="scripted"${script.scope === undefined ? '' : `,scope="${script.scope}"`}`;
    const header = script.challenge ?? fitting;
    response.writeHead(status, { 'WWW-Authenticate': header, 'Content-Type': 'application/json' });
    if (this.endlessChallenge) response.write('{"errors":');
    else response.end('{"errors":[]}');
  }

  async #token(
    origin: 'registry' | 'cdn',
    url: URL,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    this.counters.tokens++;
    const script = origin === 'cdn' ? this.cdnAuth : this.auth;
    if (script.tokenDelayMs !== undefined) await delay(script.tokenDelayMs, undefined, { ref: false });
    const isAnonymous = script.username === undefined;
    if (
      script.tokenStatus !== undefined ||
      (!isAnonymous && request.headers.authorization !== basic(script))
    ) {
      response.writeHead(script.tokenStatus ?? 401).end('{}');
      return;
    }
    if (script.tokenBody !== undefined) {
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(script.tokenBody);
      return;
    }
    const token = `${url.searchParams.get('scope')}-${randomUUID()}`.replace(/[^\w.~-]/g, '.');
    const life = script.expiresIn ?? 300;
    noteSecret(token);
    this.#tokens.set(token, Date.now() + life * 1000);
    response
      .writeHead(200, { 'Content-Type': 'application/json' })
      .end(JSON.stringify({ token, expires_in: life }));
  }
}

function basic(script: AuthScript): string {
  return `Basic ${Buffer.from(`${script.username}:${script.password}`).toString('base64')}`;
}

function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
