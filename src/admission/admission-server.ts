/**
 * Reviews over TLS. Every answer to a review is 200 and well-formed. Connections of the API server live longer here than there, so that it never
 * writes into one that we have just closed.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { answerPage, type Pages, pathOf, refuseMethod, send } from '../observe/pages.ts';
import type { KeyPair } from './key-pair-folder.ts';
import { type ReviewPath, reviewPaths } from './paths.ts';
import { type Body, type BodyLimits, BodyReader } from './read-body.ts';

export interface AdmissionServerOptions {
  readonly port: number;
  readonly answer: (path: ReviewPath, body: Body) => string | Promise<string>;
  /** Told how long an answer took. Seconds. */
  readonly took: (seconds: number) => void;
  readonly pages: Pages;
  readonly bodyLimits?: BodyLimits;
}

/**
 * The API server gives up after 30 s at most; three times what it takes itself for an object, and twice that again with the old one. Held are nine of the
 * longest, or thousands of usual ones: a sixth of the memory that the manifests give a replica.
 */
const defaultBodyLimits: BodyLimits = {
  bytes: 7 * 2 ** 20,
  droppedBytes: 64 * 2 ** 20,
  heldBytes: 64 * 2 ** 20,
  ms: 10_000,
};
/** An API server opens one for each call that is not answered yet, some hundreds at most; each takes up to 90 KiB, also when nothing is sent over it. */
const maxConnections = 1_200;

/** Go's client closes what was idle for 90 s. A connection that was opened in reserve has sent nothing by then. */
const idleMs = 120_000;
const connectionLimits = {
  keepAliveTimeout: idleMs,
  headersTimeout: idleMs,
  requestTimeout: idleMs,
  handshakeTimeout: 10_000,
  maxHeaderSize: 8192,
  connectionsCheckingInterval: 5_000,
} as const;
/** Time to read our answer, for a client that was still sending. */
const lingerMs = 5_000;
const byPath = new Map(reviewPaths.map((each) => [each.path, each]));

export class AdmissionServer {
  readonly #options: AdmissionServerOptions;
  readonly #server: Server;
  readonly #bodies: BodyReader;
  #isClosing = false;

  constructor(options: AdmissionServerOptions) {
    this.#options = options;
    this.#bodies = new BodyReader(options.bodyLimits ?? defaultBodyLimits);
    this.#server = createServer({ ...connectionLimits, minVersion: 'TLSv1.2' }, (request, response) =>
      this.#serve(request, response),
    );
    this.#server.maxConnections = maxConnections;
    this.#server.on('tlsClientError', () => undefined);
  }

  /** Shows this certificate to new connections; no connection is cut. */
  use({ cert, key }: KeyPair): void {
    this.#server.setSecureContext({ cert, key, minVersion: 'TLSv1.2' });
  }

  /** Listens on every address; rejects when the port is taken. Needs a certificate. */
  async listen(): Promise<void> {
    this.#server.listen(this.#options.port);
    await once(this.#server, 'listening');
  }

  /**
   * Ends without a call that fails: for `closingMs` each answer ends its connection, so that the next call goes elsewhere; then idle connections
   * are closed and running calls waited for, as long again.
   */
  async close(closingMs: number): Promise<void> {
    this.#isClosing = true;
    const deadline = performance.now() + closingMs;
    while (performance.now() < deadline && (await this.#connections()) > 0) await delay(50);
    const closed = once(this.#server, 'close');
    this.#server.close();
    await Promise.race([closed, delay(closingMs, undefined, { ref: false })]);
    this.#server.closeAllConnections();
    await closed;
    this.#bodies.close();
  }

  #connections(): Promise<number> {
    return new Promise((resolve) => this.#server.getConnections((_error, count) => resolve(count ?? 0)));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (this.#isClosing) response.shouldKeepAlive = false;
    const path = byPath.get(pathOf(request));
    if (path === undefined) void answerPage(request, response, this.#options.pages);
    else if (request.method === 'POST') this.#review(path, request, response);
    else refuseMethod(request, response, 'POST');
  }

  #review(path: ReviewPath, request: IncomingMessage, response: ServerResponse): void {
    const started = performance.now();
    this.#bodies.read(request, (body) => {
      const finish = (text: string) => {
        if (!body.isOver) closeLater(request, response);
        // The end may have begun while the body came.
        if (this.#isClosing) response.shouldKeepAlive = false;
        send(response, 200, 'application/json', text);
        this.#options.took((performance.now() - started) / 1000);
      };
      const answer = this.#options.answer(path, body);
      if (typeof answer === 'string') finish(answer);
      else void answer.then(finish);
    });
  }
}

/** Closing at once would take back the answer from under a client that has not read it yet. */
function closeLater(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  response.once('finish', () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
    socket.once('close', () => clearTimeout(timer));
  });
}
