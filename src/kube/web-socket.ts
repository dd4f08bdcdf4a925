/** A WebSocket to the API server through the client's own connections, credentials and errors. Used by `exec.ts` only. */
import diagnostics from 'node:diagnostics_channel';
import type { Duplex } from 'node:stream';
import { type Dispatcher, ping, WebSocket } from 'undici';
import { ApiError, answerToError, ConnectionError } from './errors.ts';

/** What to open; `url` has the query in it, `what` names the request in errors. */
export interface WebSocketRequest {
  readonly url: URL;
  readonly what: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Subprotocols, the wanted one first. */
  readonly protocols: readonly string[];
  readonly dispatcher: Dispatcher;
  /** Until the handshake is done. */
  readonly timeoutMs: number;
  /** The default is for production. */
  readonly heartbeat?: Heartbeat;
  readonly signal?: AbortSignal | undefined;
}

/** An open WebSocket whose peer is watched; events are those of `socket`. */
export interface OpenWebSocket {
  readonly socket: WebSocket;
  /** Cuts the connection; the closing handshake is not waited for. */
  destroy(): void;
}

/** How an open connection is watched, in milliseconds. */
export interface Heartbeat {
  readonly pingMs: number;
  /** The peer is taken for dead when nothing has come for so long. */
  readonly silentMs: number;
}

/**
 * Load balancers forget connections that are silent for a minute or even less; kubectl too waits a minute for a pong. TCP itself
 * would go on trying for a quarter of an hour.
 */
const defaultHeartbeat: Heartbeat = { pingMs: 10_000, silentMs: 60_000 };
/** A Status is below this; the rest of a proxy's page is of no use. Bytes. */
const longestRefusal = 64 * 1024;
const pongs = diagnostics.channel('undici:websocket:pong');

/** Rejects with `ApiError` when the server answers with something else than an upgrade, `ConnectionError` when it does not. */
export async function openWebSocket(request: WebSocketRequest): Promise<OpenWebSocket> {
  const { url, what, headers, protocols, timeoutMs, signal } = request;
  const late = AbortSignal.timeout(timeoutMs);
  const limit = signal === undefined ? late : AbortSignal.any([signal, late]);
  signal?.throwIfAborted();
  const handshake: Handshake = {};
  const socket = new WebSocket(url, {
    protocols: [...protocols],
    headers: { ...headers },
    dispatcher: request.dispatcher.compose(recordHandshake(handshake)),
  });
  socket.binaryType = 'arraybuffer';
  const end = () => socket.close();
  limit.addEventListener('abort', end, { once: true });
  try {
    await untilOpen(socket);
  } catch (cause) {
    signal?.throwIfAborted();
    if (late.aborted) throw new ConnectionError(what, `no answer within ${timeoutMs / 1000} s`);
    throw handshakeError(what, handshake, cause);
  } finally {
    limit.removeEventListener('abort', end);
  }
  const destroy = () => void handshake.connection?.destroy();
  watchPeer(socket, request.heartbeat ?? defaultHeartbeat, destroy);
  return { socket, destroy };
}

/** What the WebSocket interface does not tell: the answer to a handshake that failed, and the connection beneath. */
interface Handshake {
  refusal?: { status: number; text: string; retryAfter: string | undefined };
  failure?: Error;
  connection?: Duplex;
}

function recordHandshake(handshake: Handshake): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => dispatch(options, new RecordingHandler(handshake, handler));
}

class RecordingHandler implements Dispatcher.DispatchHandler {
  readonly #handshake: Handshake;
  readonly #inner: Dispatcher.DispatchHandler;

  constructor(handshake: Handshake, inner: Dispatcher.DispatchHandler) {
    this.#handshake = handshake;
    this.#inner = inner;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#inner.onRequestStart?.(controller, context);
  }

  onRequestUpgrade(
    ...upgrade: Parameters<NonNullable<Dispatcher.DispatchHandler['onRequestUpgrade']>>
  ): void {
    this.#handshake.connection = upgrade[3];
    this.#inner.onRequestUpgrade?.(...upgrade);
  }

  onResponseStart(_controller: unknown, status: number, headers: Record<string, unknown>): void {
    if (status < 200) return;
    const retryAfter = headers['retry-after'];
    const text = typeof retryAfter === 'string' ? retryAfter : undefined;
    this.#handshake.refusal = { status, text: '', retryAfter: text };
  }

  onResponseData(_controller: unknown, piece: Buffer): void {
    const { refusal } = this.#handshake;
    if (refusal && refusal.text.length < longestRefusal) refusal.text += piece.toString();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#inner.onResponseError?.(controller, new Error('no upgrade'));
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#handshake.failure = error;
    this.#inner.onResponseError?.(controller, error);
  }
}

function untilOpen(socket: WebSocket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.addEventListener('open', () => resolve(), { once: true });
  socket.addEventListener('error', ({ error }) => reject(error), { once: true });
  socket.addEventListener('close', () => reject(new Error('closed')), { once: true });
  return promise;
}

function handshakeError(what: string, { refusal, failure }: Handshake, cause: unknown): Error {
  if (refusal !== undefined) {
    const { status, text, retryAfter } = refusal;
    // A success that is no upgrade: something in between does not know WebSockets.
    if (status < 400) return new ApiError(what, status, { message: 'expected a WebSocket, got an answer' });
    return answerToError(what, status, text, retryAfter);
  }
  const reason = failure ?? cause;
  const code = reason instanceof Error && 'code' in reason ? `${String(reason.code)} ` : '';
  const message = reason instanceof Error && reason.message !== '' ? reason.message : 'no WebSocket';
  return new ConnectionError(what, code + message, { cause: reason });
}

/** Asks for a sign of life and cuts the connection when there is none. */
function watchPeer(socket: WebSocket, { pingMs, silentMs }: Heartbeat, destroy: () => void): void {
  let heardAt = performance.now();
  let lookedAt = heardAt;
  const heard = () => {
    heardAt = performance.now();
  };
  const onPong = (message: unknown) => {
    if ((message as { websocket: unknown }).websocket === socket) heard();
  };
  const timer = setInterval(() => {
    const now = performance.now();
    // We were held up, as by a terminal that takes nothing (Ctrl-S): what the peer has sent lies there unread.
    if (now - lookedAt > 2 * pingMs) heard();
    lookedAt = now;
    if (now - heardAt > silentMs) destroy();
    else ping(socket);
  }, pingMs);
  socket.addEventListener('message', heard);
  pongs.subscribe(onPong);
  socket.addEventListener('close', () => {
    clearInterval(timer);
    pongs.unsubscribe(onPong);
  });
}
