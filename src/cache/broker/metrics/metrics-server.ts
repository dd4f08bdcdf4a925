/** `/metrics`, `/status` and `/healthz` over plain HTTP. Holds no secret, so anybody who reaches it may read it. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { pageLimits } from '../../../observe/pages.ts';
import type { ListenAddress } from '../../cache-config.ts';

/** What each path answers; whatever they reject with is a 500. */
export interface MetricsPages {
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>;
  readonly status: () => Promise<string>;
}

/** Prometheus and the operator need one each; more is a mistake, and must not take the broker's memory. */
const maxConnections = 32;

/** Listens on `address`; where `::` is asked for and there is no IPv6, on IPv4. Rejects when that cannot be had. */
export async function serveMetrics({ address, port }: ListenAddress, pages: MetricsPages): Promise<Server> {
  const server = makeServer(pages);
  try {
    await listen(server, address, port);
  } catch (error) {
    if (address !== '::' || (error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw error;
    await listen(server, '0.0.0.0', port);
  }
  return server;
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}

function makeServer(pages: MetricsPages): Server {
  const server = createServer(pageLimits, (request, response) => {
    request.resume();
    // One that goes away is no fault.
    response.on('error', () => {});
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return send(response, 405, 'text/plain', 'expected GET or HEAD\n', { Allow: 'GET, HEAD' });
    }
    answer(pages, request.url?.replace(/\?.*/, '') ?? '', response).catch(() =>
      send(response, 500, 'text/plain', 'internal error\n'),
    );
  });
  server.maxConnections = maxConnections;
  server.timeout = 70_000;
  return server;
}

async function answer(pages: MetricsPages, path: string, response: ServerResponse): Promise<void> {
  if (path === '/healthz') return send(response, 200, 'text/plain', 'ok\n');
  if (path === '/status') return send(response, 200, 'application/json', await pages.status());
  if (path !== '/metrics') return send(response, 404, 'text/plain', 'not here\n');
  const { type, text } = await pages.metrics();
  send(response, 200, type, text);
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body), ...headers });
  response.end(body);
}
