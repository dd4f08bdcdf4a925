/** `/healthz`, `/readyz` and `/metrics` of the operator: for the kubelet and for Prometheus, without a secret in them. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';

/** What is asked about. */
export interface Health {
  /** True once everything that is watched was read. */
  readonly ready: boolean;
  /** The figures for Prometheus. */
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
}

/** Listens on `port` of every address, on none for 0; rejects when the port is taken. */
export async function serveHealth(port: number, health: Health): Promise<{ close(): void }> {
  if (port === 0) return { close: () => undefined };
  const server = createServer((request, response) => {
    answer(request.url?.replace(/\?.*/, ''), health, response).catch(() => response.destroy());
  });
  server.listen(port);
  await once(server, 'listening');
  return server;
}

async function answer(path: string | undefined, health: Health, response: ServerResponse): Promise<void> {
  if (path === '/metrics') {
    const { type, text } = await health.metrics();
    return send(response, 200, text, type);
  }
  if (path !== '/healthz' && path !== '/readyz') return send(response, 404, 'not here\n');
  const isWell = path === '/healthz' || health.ready;
  send(response, isWell ? 200 : 503, isWell ? 'ok\n' : 'not ok\n');
}

function send(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type });
  response.end(text);
}
