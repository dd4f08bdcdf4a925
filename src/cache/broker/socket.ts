/** The unix socket nginx asks on. */
import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Listens on `path`. A socket left behind by a broker that died is removed; one that somebody answers on, and a file
 * that is no socket, are errors. The mode lets nginx's workers in by owner and group.
 */
export async function listenOnSocket(path: string, listener: RequestListener): Promise<Server> {
  await removeStale(path);
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 600_000 }, listener);
  // nginx closes its idle connections first (60 s by default): a request never meets a connection being closed.
  server.timeout = 0;
  server.listen(path);
  await once(server, 'listening');
  await chmod(path, 0o660);
  return server;
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

/**
 * Stops accepting and lets running requests finish for at most `drainMs`. Then `breakOff` is called, which must end
 * them in a way that nginx takes for a failure, and a little later whatever is left is cut.
 */
export async function closeServer(server: Server, drainMs: number, breakOff = () => {}): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const over = new AbortController();
  const cut = async () => {
    await delay(drainMs, undefined, { signal: over.signal });
    breakOff();
    await delay(breakOffMs, undefined, { signal: over.signal });
    server.closeAllConnections();
  };
  // Aborted: everything had ended by itself.
  cut().catch(() => {});
  await closed;
  over.abort();
}
