/**
 * Tells the node's state: to the operator and to Prometheus over mutual TLS on the node's address, to people on the node over a unix socket that
 * root alone may open.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type ServerOptions, type Server as TlsServer } from 'node:https';
import { dirname } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { operatorCommonName } from '../../api/names.ts';
import type { Runtime } from '../../api/node-mirror.ts';
import type { NodeReport } from '../../api/node-report.ts';
import { errorMessage } from '../../observe/error-message.ts';
import type { Logger } from '../../observe/log.ts';
import type { StatusServerOptions } from '../options.ts';
import { metricsOf } from './metrics.ts';

export interface StatusServerInput {
  /** Undefined before the first pass. */
  readonly report: () => NodeReport | undefined;
  /** The operator's word that a runtime may be restarted now. */
  readonly restart: (mirror: string, runtime: Runtime) => void;
  /** A list of mirrors as the operator brings it, as JSON; false where none is taken. Throws a `TypeError` where it is none. */
  readonly takeList?: (body: string) => boolean;
  readonly socket: string;
  readonly server?: StatusServerOptions;
  readonly log: Logger;
}

const bodyLimit = 4096;
/** As much as a Secret may hold, as JSON in JSON. */
const listLimit = 2 * 1024 * 1024;
const tryAgainMs = 10_000;
/** Any pod may connect to the node's address: who shows no certificate is not kept, and cannot fill the agent's memory. */
const mostConnections = 64;
const handshakeMs = 3_000;

export class StatusServer {
  readonly #input: StatusServerInput;
  readonly #local: Server;
  readonly #remote = new Map<string, TlsServer>();
  #files = '';
  #failed = false;
  #next: NodeJS.Timeout | undefined;

  constructor(input: StatusServerInput) {
    this.#input = input;
    this.#local = createServer((request, response) => void this.#answer(request, response, false));
  }

  /** Listens where it can, for good; what is not possible now is tried again with each `refresh`. */
  start(): void {
    const { socket, log } = this.#input;
    mkdirSync(dirname(socket), { recursive: true });
    rmSync(socket, { force: true });
    this.#local.on('error', (error) =>
      log.error({ error: errorMessage(error) }, 'Status socket was not opened'),
    );
    this.#local.listen(socket, () => chmodSync(socket, 0o600));
    this.refresh();
  }

  /** Takes on certificates that were replaced. */
  refresh(): void {
    const { server, log } = this.#input;
    if (server === undefined) return;
    try {
      const options = readFiles(server);
      const files = JSON.stringify(options);
      if (files !== this.#files) for (const each of this.#remote.values()) each.setSecureContext(options);
      this.#files = files;
      for (const address of server.addresses) this.#listen(address, options, server);
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) log.warn({ error: errorMessage(error) }, 'Status is not served to the operator yet');
      this.#failed = true;
    }
  }

  close(): void {
    clearTimeout(this.#next);
    for (const server of [this.#local, ...this.#remote.values()]) {
      server.close();
      server.closeAllConnections();
    }
  }

  #listen(address: string, options: ServerOptions, { port }: StatusServerOptions): void {
    if (this.#remote.has(address)) return;
    const listener: RequestListener = (request, response) => void this.#answer(request, response, true);
    const limits = { maxHeaderSize: 8192, requestTimeout: 5000, handshakeTimeout: handshakeMs };
    const server = createTlsServer({ ...options, ...limits }, listener);
    server.maxConnections = mostConnections;
    this.#remote.set(address, server);
    server.on('tlsClientError', () => undefined);
    server.once('error', (error) => {
      this.#input.log.warn({ address, port, error: errorMessage(error) }, 'Status is not served there yet');
      this.#remote.delete(address);
      this.#next ??= setTimeout(() => {
        this.#next = undefined;
        this.refresh();
      }, tryAgainMs).unref();
    });
    server.listen(port, address);
  }

  async #answer(request: IncomingMessage, response: ServerResponse, isRemote: boolean): Promise<void> {
    try {
      const { method, url } = request;
      const report = this.#input.report();
      if (method === 'GET' && report === undefined) return send(response, 503, 'no pass was made yet');
      if (method === 'GET' && url === '/status')
        return send(response, 200, JSON.stringify(report), 'application/json');
      if (method === 'GET' && url === '/metrics' && report !== undefined) {
        const { text, type } = metricsOf(report);
        return send(response, 200, text, type);
      }
      if (method !== 'POST' || (url !== '/restart' && url !== '/list'))
        return send(response, 404, 'no such page');
      if (isRemote && !isOperator(request)) return send(response, 403, 'for the operator alone');
      if (url === '/list') return this.#takeList(await bodyOf(request, listLimit), response);
      const wanted = parseRestart(await bodyOf(request, bodyLimit));
      if (wanted === undefined) return send(response, 400, 'expected mirror and runtime');
      this.#input.restart(wanted.mirror, wanted.runtime);
      return send(response, 202, 'accepted');
    } catch {
      response.destroy();
    }
  }

  #takeList(body: string, response: ServerResponse): void {
    try {
      const isTaken = this.#input.takeList?.(body) === true;
      send(response, isTaken ? 202 : 404, isTaken ? 'accepted' : 'no list is taken here');
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.#input.log.warn({ error: error.message }, 'What the operator brought is no list of mirrors');
      send(response, 400, error.message);
    }
  }
}

function readFiles({ certificate, authoritiesFile }: StatusServerOptions): ServerOptions {
  return {
    cert: readFileSync(certificate.certFile, 'utf8'),
    key: readFileSync(certificate.keyFile, 'utf8'),
    ca: readFileSync(authoritiesFile, 'utf8'),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  };
}

function isOperator({ socket }: IncomingMessage): boolean {
  return (socket as TLSSocket).getPeerCertificate().subject?.CN === operatorCommonName;
}

async function bodyOf(request: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > limit) throw new Error('too long');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

/** containerd alone is ever restarted. */
function parseRestart(body: string): { readonly mirror: string; readonly runtime: Runtime } | undefined {
  try {
    const { mirror, runtime } = JSON.parse(body) as Record<string, unknown>;
    return typeof mirror === 'string' && runtime === 'containerd' ? { mirror, runtime } : undefined;
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(text.endsWith('\n') ? text : `${text}\n`);
}
