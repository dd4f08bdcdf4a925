/** The unix socket nginx asks on. */
import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import {
  createServer as createHttpServer,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { connect, createServer, type Server as NetServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guard } from './serve-blob.ts';

/** Where requests of nginx come from. */
export interface Serving {
  readonly server: Server;
  /** Each with the answer it was given last. */
  readonly connections: ReadonlyMap<Socket, ServerResponse | undefined>;
  /** Absent: nobody holds on to the connections when this process dies. */
  readonly guard?: Guard;
}

/** Makes the HTTP server for nginx; it listens nowhere yet. */
export function createServing(listener: RequestListener): Serving {
  // nginx closes its idle connections first (60 s by default): a request never meets a connection being closed.
  const server = createHttpServer({ requestTimeout: 0, keepAliveTimeout: 600_000 }, listener);
  server.timeout = 0;
  const connections = new Map<Socket, ServerResponse | undefined>();
  server.on('connection', (socket: Socket) => {
    connections.set(socket, undefined);
    socket.once('close', () => connections.delete(socket));
  });
  server.prependListener('request', ({ socket }, response) => void connections.set(socket, response));
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

/** What `breakOff` makes answers say last still reaches nginx within this. Milliseconds. */
const breakOffMs = 200;
/** How often connections that have become idle are closed. Milliseconds. */
const lookMs = 20;

/**
 * Stops accepting and lets running requests finish for at most `drainMs`. Then `breakOff` is called, which must end
 * them in a way that nginx takes for a failure. A little later connections without an answer are closed, also those that a supervisor
 * still hands over: nginx would keep one and go on asking on it. What still waits for nginx to read it is not cut: it would lose its end.
 */
export async function closeServing(
  { server, connections }: Serving,
  drainMs: number,
  breakOff = () => {},
): Promise<void> {
  server.close();
  if (!(await idle(drainMs))) {
    breakOff();
    await idle(breakOffMs);
  }
  server.on('connection', (socket: Socket) => socket.destroy());
  for (const [socket, response] of connections) {
    if (!response?.headersSent || response.writableFinished) socket.destroy();
  }

  async function idle(ms: number): Promise<boolean> {
    for (const end = performance.now() + ms; connections.size > 0; await delay(lookMs)) {
      server.closeIdleConnections();
      if (performance.now() >= end) return false;
    }
    return true;
  }
}
