/**
 * An API server in this process that fails on demand, for what a real one cannot be told to do. It passes the same
 * conformance cases as the real one (test/support/kube-conformance.ts).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '../../src/kube/connection.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import type { ResourceType } from '../../src/kube/resource-type.ts';
import { FakeApiState, type HistoryEntry, StatusAnswer } from './fake-api-state.ts';

/** A request as scripts and assertions see it. */
export interface FakeRequest {
  verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'delete';
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  /** When it came (performance.now()). */
  at: number;
}

/**
 * What happens instead of the answer: a status; `reset` ends the connection; `hang` never answers; for a watch `silent`
 * accepts and says nothing for ever, `end` accepts and ends, `broken` sends half a JSON text, `error` an ERROR event.
 */
export type Fault =
  | { status: number; retryAfter?: string; body?: string }
  | { error: number }
  | 'reset'
  | 'hang'
  | 'silent'
  | 'end'
  | 'broken'
  | 'cut';

interface Watcher {
  response: ServerResponse;
  type: ResourceType;
  namespace: string | undefined;
  silent: boolean;
}

/** Returns a started server on a free port of 127.0.0.1 that serves `types`. */
export async function startFakeApiServer(types: ResourceType[]): Promise<FakeApiServer> {
  const server = new FakeApiServer(types);
  await server.listen();
  return server;
}

export class FakeApiServer {
  readonly state = new FakeApiState();
  /** Every request that came, oldest first. */
  readonly requests: FakeRequest[] = [];
  /** Asked before each answer. */
  script: (request: FakeRequest) => Fault | undefined = () => undefined;
  /** The accepted Authorization header; undefined accepts all. */
  authorization: string | undefined;
  readonly #watchers = new Set<Watcher>();
  readonly #snapshots = new Map<number, KubeObject[]>();
  #server: Server | undefined;
  #port = 0;

  constructor(types: ResourceType[]) {
    for (const type of types) this.state.addType(type);
    this.state.subscribe((entry) => {
      for (const watcher of this.#watchers) tell(watcher, entry);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  connection(authorization: Connection['authorization'] = async () => undefined): Connection {
    return { url: this.url, tls: async () => ({}), authorization };
  }

  async listen(): Promise<void> {
    const server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    server.keepAliveTimeout = 90_000;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.#port, '127.0.0.1', resolve);
    });
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** Drops all connections, is away for `gapMs`, and comes back on the same port. */
  async restart(gapMs = 0): Promise<void> {
    await this.stop();
    await delay(gapMs);
    await this.listen();
  }

  /** Faults of the given kinds, one for each request that `matches`, in turn. */
  fail(faults: Fault[], matches: (request: FakeRequest) => boolean = () => true): void {
    const left = [...faults];
    this.script = (request) => (matches(request) ? left.shift() : undefined);
  }

  /** Ends all watches the way a server that shuts down gracefully does. */
  endWatches(): void {
    for (const watcher of this.#watchers) this.#end(watcher);
  }

  /** Cuts all watches in the middle of a line. */
  cutWatches(): void {
    for (const { response } of this.#watchers) {
      response.write('{"type":"MODI');
      setImmediate(() => response.destroy());
    }
    this.#watchers.clear();
  }

  /** Sends a line that is no JSON on all watches, which stay open. */
  breakWatches(): void {
    for (const { response } of this.#watchers) response.write('{"type":"MODIFIED","obj\n');
  }

  /** Leaves all watches open but says nothing on them any more: a connection whose other end is gone. */
  silenceWatches(): void {
    for (const watcher of this.#watchers) watcher.silent = true;
  }

  addType(type: ResourceType): void {
    this.state.addType(type);
  }

  /** Deletes the objects, ends the watches and forgets the type, as the deletion of a CRD does. */
  removeType(type: ResourceType): void {
    this.state.removeType(type);
    for (const watcher of this.#watchers) if (watcher.type.plural === type.plural) this.#end(watcher);
  }

  /** Forgets the history; open watches go on, as they do on the real one. */
  compact(): void {
    this.state.compact();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', this.url);
    const target = this.#target(url.pathname);
    const request = describe(incoming, url, target.name);
    this.requests.push(request);
    const text = await bodyOf(incoming);
    const fault = this.script(request);
    if (fault !== undefined) return fail(response, fault, request.verb);
    try {
      if (this.authorization !== undefined && incoming.headers.authorization !== this.authorization) {
        throw new StatusAnswer(401, 'Unauthorized', 'Unauthorized');
      }
      if (target.type === undefined) throw new StatusAnswer(404, 'NotFound', 'no such resource');
      this.#answer(request, { ...target, type: target.type }, text, response);
    } catch (error) {
      if (!(error instanceof StatusAnswer)) throw error;
      send(response, error.code, status(error.code, error.reason, error.message));
    }
  }

  #answer(request: FakeRequest, target: Target, text: string, response: ServerResponse): void {
    const { type, key } = target;
    if (request.verb === 'watch') this.#watch(request, target, response);
    else if (request.verb === 'list') send(response, 200, this.#list(request, target));
    else if (request.verb === 'get') send(response, 200, this.state.get(type, key));
    else if (request.verb === 'create') {
      send(response, 201, this.state.create(type, JSON.parse(text) as KubeObject));
    } else if (request.verb === 'update') {
      send(response, 200, this.state.update(type, JSON.parse(text) as KubeObject));
    } else send(response, 200, this.state.delete(type, key));
  }

  /** Pages of one list are of one moment, as the real one's are. */
  #list({ query }: FakeRequest, { type, namespace }: Target) {
    const current = this.state.list(type, namespace);
    const [version, offset] = (query.get('continue') ?? `${this.state.version}:0`).split(':').map(Number) as [
      number,
      number,
    ];
    if (this.state.isExpired(version))
      throw new StatusAnswer(410, 'Expired', 'the continue token is too old');
    const all = offset === 0 ? current : (this.#snapshots.get(version) ?? current);
    const end = offset + (Number(query.get('limit') ?? 0) || all.length);
    const more = end < all.length;
    if (more) this.#snapshots.set(version, all);
    return {
      kind: `${type.kind}List`,
      metadata: { resourceVersion: String(version), ...(more ? { continue: `${version}:${end}` } : {}) },
      // Items of a real list carry neither.
      items: all.slice(offset, end).map(({ apiVersion: _, kind: __, ...rest }) => rest),
    };
  }

  #watch({ query }: FakeRequest, { type, namespace }: Target, response: ServerResponse): void {
    const version = Number(query.get('resourceVersion'));
    // As the real one: the type must exist, and what is too old is told on the stream.
    this.state.list(type);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (this.state.isExpired(version)) {
      response.end(line('ERROR', status(410, 'Expired', 'too old resource version')));
      return;
    }
    const watcher: Watcher = { response, type, namespace, silent: false };
    for (const entry of this.state.since(version, type)) tell(watcher, entry);
    this.#watchers.add(watcher);
    const seconds = Number(query.get('timeoutSeconds') ?? 0);
    const timer = setTimeout(() => this.#timeOut(watcher), seconds * 1000 || 1_000_000);
    response.on('close', () => {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    });
  }

  #timeOut(watcher: Watcher): void {
    if (watcher.silent) return;
    const metadata = { resourceVersion: String(this.state.version) };
    watcher.response.write(line('BOOKMARK', { kind: watcher.type.kind, metadata }));
    this.#end(watcher);
  }

  #end(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    watcher.response.end();
  }

  #target(path: string): Target | UnknownTarget {
    const match =
      /^\/(?:api|apis\/(?<group>[^/]+))\/(?<version>[^/]+)(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+))?$/.exec(
        path,
      );
    const { group = '', version = '', namespace, plural = '', name } = match?.groups ?? {};
    const key = namespace === undefined ? (name ?? '') : `${namespace}/${name}`;
    return { type: this.state.findType(group, version, plural), namespace, name, key };
  }
}

interface UnknownTarget {
  type: ResourceType | undefined;
  namespace: string | undefined;
  name: string | undefined;
  key: string;
}

interface Target extends UnknownTarget {
  type: ResourceType;
}

function describe(incoming: IncomingMessage, url: URL, name: string | undefined): FakeRequest {
  const reading = url.searchParams.get('watch') === 'true' ? 'watch' : name === undefined ? 'list' : 'get';
  const verbs = { POST: 'create', PUT: 'update', DELETE: 'delete' } as const;
  const verb = verbs[incoming.method as keyof typeof verbs] ?? reading;
  return {
    verb,
    path: url.pathname,
    query: url.searchParams,
    headers: incoming.headers,
    at: performance.now(),
  };
}

function fail(response: ServerResponse, fault: Fault, verb: FakeRequest['verb']): void {
  if (fault === 'hang') return;
  if (fault === 'reset') {
    response.destroy();
    return;
  }
  if (typeof fault === 'object' && 'status' in fault) {
    if (fault.retryAfter !== undefined) response.setHeader('retry-after', fault.retryAfter);
    send(response, fault.status, fault.body ?? status(fault.status, 'Scripted', 'scripted failure'));
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  if (fault === 'end') response.end();
  else if (fault === 'broken') breakOff(response, verb);
  else if (fault === 'cut') response.end('{"type":"ADD');
  else if (typeof fault === 'object')
    response.end(line('ERROR', status(fault.error, 'Scripted', 'scripted')));
}

/** A watch stays open behind a broken line; any other answer ends there. */
function breakOff(response: ServerResponse, verb: FakeRequest['verb']): void {
  response.write('{"type":"ADDED","object":{\n');
  if (verb !== 'watch') response.end();
}

function tell(watcher: Watcher, { type, resource, object }: HistoryEntry): void {
  const { namespace } = object.metadata;
  if (watcher.silent || resource.plural !== watcher.type.plural || resource.group !== watcher.type.group)
    return;
  if (watcher.namespace !== undefined && watcher.namespace !== namespace) return;
  watcher.response.write(line(type, object));
}

function line(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function status(code: number, reason: string, message: string) {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}

function send(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
