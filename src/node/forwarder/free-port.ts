import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** What has just been killed may hold its port for a moment. */
const tries = 3;
const pauseMs = 100;

/** True when `port` can be listened on at all of `hosts`. Listens itself for a moment. */
export async function isFree(port: number, hosts: readonly string[]): Promise<boolean> {
  for (let left = tries; ; left -= 1) {
    const free = await Promise.all(hosts.map((host) => canListen(port, host)));
    if (free.every(Boolean)) return true;
    if (left === 1) return false;
    await delay(pauseMs);
  }
}

function canListen(port: number, host: string): Promise<boolean> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
