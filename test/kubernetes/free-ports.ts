/** Picks ports for servers that must keep theirs while they are down. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

// Below the kernel's range for outgoing connections (32768 and up), so that none of those takes the port of a stopped server.
const lowest = 10_000;
const highest = 32_000;

/** A port on which nothing listens at 127.0.0.1. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/** Returns `count` different ports on which nothing listens at 127.0.0.1, and that no other process is given while this one lives. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(lowest, highest);
    if ((await claim(port)) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

/** Test files run at once: between the choice of a port and its server's start another file could choose it too. */
async function claim(port: number): Promise<boolean> {
  const server = createServer();
  try {
    // An abstract socket leaves no file, and ends with the process.
    await once(server.listen(`\0registry-mirror-operator-port-${port}`), 'listening');
    server.unref();
    return true;
  } catch {
    return false;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
