/** `/healthz`, `/readyz` and `/metrics` of operator and webhook, for kubelet and Prometheus. Nothing in them is secret. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface Pages {
  readonly ready: () => boolean;
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>;
}

/** The path of a request without its query. */
export function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

/** Answers a request for one of the pages, or any other. */
export async function answerPage(
  request: IncomingMessage,
  response: ServerResponse,
  pages: Pages,
): Promise<void> {
  request.resume();
  const path = pathOf(request);
  if (path !== '/healthz' && path !== '/readyz' && path !== '/metrics')
    return sendText(response, 404, 'not here');
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return refuseMethod(request, response, 'GET, HEAD');
  if (path === '/healthz') return sendText(response, 200, 'ok');
  if (path === '/readyz')
    return pages.ready() ? sendText(response, 200, 'ok') : sendText(response, 503, 'not ready');
  try {
    const { type, text } = await pages.metrics();
    send(response, 200, type, text);
  } catch {
    sendText(response, 500, 'internal error');
  }
}

/** Answers a request whose method has no meaning here. */
export function refuseMethod(request: IncomingMessage, response: ServerResponse, allowed: string): void {
  request.resume();
  response.setHeader('allow', allowed);
  sendText(response, 405, `expected ${allowed}`);
}

function sendText(response: ServerResponse, status: number, text: string): void {
  send(response, status, 'text/plain', `${text}\n`);
}

/** Answers with a whole body, if there is still somebody to read it. */
export function send(response: ServerResponse, status: number, type: string, body: string): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** What a client of small pages may take. */
export const pageLimits = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 65_000,
  maxHeaderSize: 8192,
} as const;
/** kubelet and Prometheus need one each. */
const maxConnections = 64;

/** Listens on `port` of every address, on none for 0; rejects when the port is taken. `close` ends every connection. */
export async function servePages(port: number, pages: Pages): Promise<{ close(): void }> {
  if (port === 0) return { close: () => undefined };
  const server = createServer(pageLimits, (request, response) => {
    void answerPage(request, response, pages);
  });
  server.maxConnections = maxConnections;
  server.listen(port);
  await once(server, 'listening');
  return {
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
