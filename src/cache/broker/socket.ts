/** The unix socket nginx asks on. */
import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { connect, createServer, type Server as NetServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Where requests of nginx come from. */
export interface Serving {
  readonly server: Server;
  readonly connections: ReadonlySet<Socket>;
}

/** Makes the HTTP server for nginx; it listens nowhere yet. */
export function createServing(listener: RequestListener): Serving {
  // nginx closes its idle connections first (60 s by default): a request never meets a connection being closed.
  const server = createHttpServer({ requestTimeout: 0, keepAliveTimeout: 600_000 }, listener);
  server.timeout = 0;
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  return { server, connections };
}

/** Serves on `path`; see `listen`. */
export async function serveOnSocket(path: string, listener: RequestListener): Promise<Serving> {
  const serving = createServing(listener);
  await listen(serving.server, path);
  return serving;
}

/** Accepts connections on `path` for somebody else to read: they are paused. See `listen`. */
export async function acceptOn(path: string, take: (socket: Socket) => void): Promise<NetServer> {
  const server = createServer({ pauseOnConnect: true }, take);
  await listen(server, path);
  return server;
}

/**
 * Listens on `path`. A socket left behind by a broker that died is removed; one that somebody answers on, and a file
 * that is no socket, are errors. The mode lets nginx's workers in by owner and group.
 */
async function listen(server: NetServer, path: string): Promise<void> {
  await removeStale(path);
  server.listen(path);
  await once(server, 'listening');
  await chmod(path, 0o660);
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${path}: expected a socket or nothing, got another file`);
  if (await isAnswered(path)) throw new Error(`${path}: another broker answers on this socket`);
  await unlink(path);
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** How often connections that have become idle are closed. Milliseconds. */
const lookMs = 20;

/**
 * Stops accepting and lets running requests finish for at most `drainMs`. Then `breakOff` is called, and whatever is left is cut, also what
 * a supervisor still hands over: nginx would keep such a connection and go on asking on it.
 */
export async function closeServing(
  { server, connections }: Serving,
  drainMs: number,
  breakOff = () => {},
): Promise<void> {
  server.close();
  if (!(await idle(drainMs))) breakOff();
  server.on('connection', (socket: Socket) => socket.destroy());
  for (const socket of connections) socket.destroy();

  async function idle(ms: number): Promise<boolean> {
    for (const end = performance.now() + ms; connections.size > 0; await delay(lookMs)) {
      server.closeIdleConnections();
      if (performance.now() >= end) return false;
    }
    return true;
  }
}
