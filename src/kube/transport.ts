/** HTTP towards one API server: one undici agent, credentials, timeouts, errors with the verb and path in them. */
import { Agent, buildConnector, type Dispatcher } from 'undici';
import type { Logger } from '../observe/log.ts';
import { redact } from '../observe/redact.ts';
import type { Connection, TlsOptions } from './connection.ts';
import { ApiError, answerToError, ConnectionError } from './errors.ts';
import type { OpenExec } from './exec.ts';
import { type OpenWebSocket, openWebSocket } from './web-socket.ts';

/** What happened to one HTTP request; `status` is 0 when there was no answer. For metrics and benchmarks. */
export interface RequestRecord {
  method: string;
  /** The API's verb: get, list, watch, create, update, patch, apply, delete, or `raw`. */
  verb: string;
  path: string;
  status: number;
  /** Until the answer's headers. */
  ms: number;
}

/** One request; `path` starts with a slash and has no query. */
export interface TransportRequest {
  method: string;
  verb: string;
  path: string;
  query?: Record<string, string | number | boolean | undefined> | undefined;
  body?: string | undefined;
  contentType?: string | undefined;
  signal?: AbortSignal | undefined;
  /** The body is a stream that may be silent for long: no timeout on it, the caller has a deadline of its own. */
  endless?: boolean;
}

export interface TransportOptions {
  userAgent: string;
  logger?: Logger;
  onRequest?: (record: RequestRecord) => void;
}

const connectMs = 5_000;
const headersMs = 30_000;
/** Between two pieces of a body; watches have none. */
const bodyMs = 30_000;
/** Below the API server's 90 s, so that we never send on a connection it is just closing. */
const idleConnectionMs = 60_000;
/** With Node's ten probes a second apart a dead peer is noticed after 40 s. */
const tcpKeepAliveMs = 30_000;
const longestWarning = 500;
const mostWarnings = 100;

/** Sends requests and tells success from failure; used by the client only. */
export class Transport {
  readonly #connection: Connection;
  readonly #options: TransportOptions;
  readonly #agent: Agent;
  readonly #origin: string;
  readonly #basePath: string;
  readonly #warned = new Set<string>();
  readonly #closed = new AbortController();

  constructor(connection: Connection, options: TransportOptions) {
    const url = new URL(connection.url);
    this.#connection = connection;
    this.#options = options;
    this.#origin = url.origin;
    this.#basePath = url.pathname.replace(/\/+$/, '');
    this.#agent = new Agent({
      // One stream lost must not be all streams lost, and HTTP/1.1 costs less here; a watch holds a connection.
      allowH2: false,
      pipelining: 1,
      headersTimeout: headersMs,
      bodyTimeout: bodyMs,
      keepAliveTimeout: idleConnectionMs,
      keepAliveMaxTimeout: idleConnectionMs,
      connect: rotatingConnector(connection, this.#closed.signal),
    });
  }

  /** Resolves with the answer if it is a 2xx; its body must be read or destroyed. A 401 is tried once more with fresh credentials. */
  async send(request: TransportRequest): Promise<Dispatcher.ResponseData> {
    // A leader that has lost its lease must not write once more.
    request.signal?.throwIfAborted();
    return untilAborted(this.#send(request), request.signal);
  }

  async #send(request: TransportRequest): Promise<Dispatcher.ResponseData> {
    const sent = await this.#authorization(request);
    const first = await this.#attempt(request, sent);
    if (first.statusCode !== 401) return this.#successful(request, first);
    await first.body.dump();
    const renewed = await this.#authorization(request, true);
    return this.#successful(request, await this.#attempt(request, renewed));
  }

  /** Like `send`, with the body parsed as JSON. */
  async json(request: TransportRequest): Promise<unknown> {
    const response = await this.send(request);
    const text = await this.#text(request, response);
    try {
      return JSON.parse(text);
    } catch {
      // The parser's message quotes the text, which may be a Secret.
      throw new ConnectionError(describe(request), 'the answer is not JSON');
    }
  }

  /** Opens a WebSocket; a 401 is tried once more with fresh credentials. */
  openWebSocket: OpenExec = async (request) => {
    const attempt = async (fresh: boolean) =>
      this.#openWebSocket(request, await this.#authorization({ method: 'GET', ...request }, fresh));
    return attempt(false).catch((error: unknown) => {
      if (error instanceof ApiError && error.unauthorized) return attempt(true);
      throw error;
    });
  };

  #openWebSocket(
    { path, query, protocols, signal }: Parameters<OpenExec>[0],
    authorization: string | undefined,
  ): Promise<OpenWebSocket> {
    const search = new URLSearchParams(query.map((entry) => [...entry]));
    return openWebSocket({
      url: new URL(`${this.#basePath}${path}?${search}`, this.#origin),
      what: describe({ method: 'GET', path }),
      headers: {
        'user-agent': this.#options.userAgent,
        ...(authorization === undefined ? {} : { authorization }),
      },
      protocols,
      dispatcher: this.#agent,
      timeoutMs: headersMs,
      signal,
    });
  }

  /** Ends every request and connection. */
  async close(): Promise<void> {
    await this.#agent.destroy();
    // undici leaves a connection that is still being made to its timeout, for which the process would wait.
    this.#closed.abort();
  }

  async #authorization(
    request: { method: string; path: string },
    fresh = false,
  ): Promise<string | undefined> {
    try {
      return await this.#connection.authorization({ fresh });
    } catch (cause) {
      throw new ConnectionError(describe(request), 'no credentials', { cause });
    }
  }

  async #attempt(
    request: TransportRequest,
    authorization: string | undefined,
  ): Promise<Dispatcher.ResponseData> {
    const started = performance.now();
    let status = 0;
    try {
      const response = await this.#agent.request(this.#dispatch(request, authorization));
      status = response.statusCode;
      this.#showWarning(request, response.headers['warning']);
      return response;
    } catch (cause) {
      throw toConnectionError(request, cause);
    } finally {
      const { method, verb, path } = request;
      this.#options.onRequest?.({ method, verb, path, status, ms: performance.now() - started });
    }
  }

  #dispatch(request: TransportRequest, authorization: string | undefined) {
    const { method, body, signal, endless, contentType = 'application/json' } = request;
    return {
      origin: this.#origin,
      path: this.#basePath + request.path + queryString(request.query),
      method: method as Dispatcher.HttpMethod,
      headers: {
        accept: 'application/json',
        'user-agent': this.#options.userAgent,
        ...(authorization === undefined ? {} : { authorization }),
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
      ...(endless === true ? { bodyTimeout: 0 } : {}),
    };
  }

  /** RFC 9111 `299 - "text"`: deprecated versions, unknown fields, Pod Security. */
  #showWarning(request: TransportRequest, header: string | string[] | undefined): void {
    if (header === undefined) return;
    const warning = redact(String(header)).slice(0, longestWarning);
    if (this.#warned.has(warning) || this.#warned.size >= mostWarnings) return;
    this.#warned.add(warning);
    this.#options.logger?.warn({ path: request.path, warning }, 'The API server warned');
  }

  async #successful(
    request: TransportRequest,
    response: Dispatcher.ResponseData,
  ): Promise<Dispatcher.ResponseData> {
    const { statusCode, headers } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    const text = await this.#text(request, response);
    const retryAfter = headers['retry-after'];
    throw answerToError(
      describe(request),
      statusCode,
      text,
      Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
    );
  }

  async #text(request: TransportRequest, response: Dispatcher.ResponseData): Promise<string> {
    try {
      return await response.body.text();
    } catch (cause) {
      throw toConnectionError(request, cause);
    }
  }
}

/** Returns what to throw for a failure below HTTP: the abort's own reason if we aborted, else a ConnectionError. */
export function toConnectionError(request: TransportRequest, cause: unknown): unknown {
  if (request.signal?.aborted === true) return request.signal.reason;
  if (cause instanceof ApiError || cause instanceof ConnectionError) return cause;
  const code = cause instanceof Error && 'code' in cause ? `${String(cause.code)} ` : '';
  return new ConnectionError(describe(request), code + (cause instanceof Error ? cause.message : 'failed'), {
    cause,
  });
}

/**
 * undici looks at the signal only once it has a connection, and an exec plugin never does: neither may hold up who gave
 * up, least of all a leader whose lease runs out. What comes later is thrown away.
 */
async function untilAborted(
  sending: Promise<Dispatcher.ResponseData>,
  signal: AbortSignal | undefined,
): Promise<Dispatcher.ResponseData> {
  if (signal === undefined) return sending;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => {
    reject(signal.reason);
    sending.then(({ body }) => body.on('error', () => undefined).destroy()).catch(() => undefined);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  return Promise.race([sending, aborted]).finally(() => signal.removeEventListener('abort', onAbort));
}

/** Names a request in messages; queries are left out because continue tokens are long. */
export function describe(request: { method: string; path: string }): string {
  return `${request.method} ${request.path}`;
}

function queryString(query: TransportRequest['query']): string {
  const entries = Object.entries(query ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]],
  );
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries)}`;
}

/** Asks for the TLS settings with each new connection; a connector is kept while they are the same object. */
function rotatingConnector(connection: Connection, signal: AbortSignal): buildConnector.connector {
  let made: { tls: TlsOptions; connect: buildConnector.connector } | undefined;
  return (options, callback) => {
    connection.tls().then(
      (tls) => {
        if (made?.tls !== tls) made = { tls, connect: buildConnector(connectorOptions(tls, signal)) };
        made.connect(options, callback);
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
    );
  };
}

function connectorOptions(
  tls: TlsOptions,
  signal: AbortSignal,
): buildConnector.BuildOptions & { signal: AbortSignal } {
  return {
    ...tls,
    signal,
    allowH2: false,
    timeout: connectMs,
    keepAlive: true,
    keepAliveInitialDelay: tcpKeepAliveMs,
  };
}
