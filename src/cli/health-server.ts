/** `/healthz` and `/readyz` of the operator for the kubelet. */
import { once } from 'node:events';
import { createServer } from 'node:http';

/** What is asked about. */
export interface Health {
  /** True once everything that is watched was read. */
  readonly ready: boolean;
}

/** Listens on `port` of every address, on none for 0; rejects when the port is taken. */
export async function serveHealth(port: number, health: Health): Promise<{ close(): void }> {
  if (port === 0) return { close: () => undefined };
  const server = createServer((request, response) => {
    const healthy = request.url === '/healthz' || (request.url === '/readyz' && health.ready);
    const known = healthy || request.url === '/readyz';
    response.writeHead(healthy ? 200 : known ? 503 : 404, { 'content-type': 'text/plain' });
    response.end(healthy ? 'ok\n' : 'not ok\n');
  });
  server.listen(port);
  await once(server, 'listening');
  return server;
}
