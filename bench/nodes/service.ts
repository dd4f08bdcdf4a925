/**
 * A Service's address as a node sees it, in a network namespace of the run's own: this machine's loopback has the address, and what kube-proxy
 * would do with a connection is done by a proxy, or by the kernel where nothing answers at all.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export const serviceAddress = '10.96.0.10';
const servicePort = 443;

/** `refused`: nobody listens. `lost`: packets vanish. `hangs`: connections are taken and nothing comes. `unreachable`: there is no route. */
export type ServiceState = 'healthy' | 'refused' | 'lost' | 'hangs' | 'slow' | 'unreachable';

/** What each piece is late by when it is slow, in milliseconds. */
const slowness = 3000;

export class Service {
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  /** In front of that port of the loopback. */
  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    ip('link', 'add', 'lost', 'type', 'bridge');
    ip('addr', 'add', '10.96.255.1/32', 'dev', 'lost');
    ip('link', 'set', 'lost', 'up');
    ip('neigh', 'add', serviceAddress, 'lladdr', '02:00:00:00:00:01', 'dev', 'lost', 'nud', 'permanent');
    ip('addr', 'add', `${serviceAddress}/32`, 'dev', 'lo');
  }

  async become(state: ServiceState): Promise<void> {
    await this.close();
    this.#route(state);
    if (state === 'lost' || state === 'unreachable' || state === 'refused') return;
    this.#server = createServer((client) => this.#serve(client, state));
    await once(this.#server.listen(servicePort, serviceAddress), 'listening');
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #route(state: ServiceState): void {
    quietly(() => ip('addr', 'del', `${serviceAddress}/32`, 'dev', 'lo'));
    quietly(() => ip('route', 'del', `${serviceAddress}/32`, 'dev', 'lost'));
    quietly(() => ip('route', 'del', 'unreachable', `${serviceAddress}/32`));
    if (state === 'lost') ip('route', 'add', `${serviceAddress}/32`, 'dev', 'lost');
    else if (state === 'unreachable') ip('route', 'add', 'unreachable', `${serviceAddress}/32`);
    else ip('addr', 'add', `${serviceAddress}/32`, 'dev', 'lo');
  }

  #serve(client: Socket, state: ServiceState): void {
    this.#track(client);
    if (state === 'hangs') return void client.resume();
    const target = connect(this.#targetPort, '127.0.0.1');
    this.#track(target);
    client.on('close', () => target.destroy());
    target.on('close', () => client.end());
    if (state === 'slow') {
      passLate(client, target);
      passLate(target, client);
    } else client.pipe(target).pipe(client);
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => this.#sockets.delete(socket));
  }
}

/** In order; nobody waits for the piece before. */
function passLate(from: Socket, to: Socket): void {
  from.on('data', async (piece) => {
    await delay(slowness);
    if (!to.destroyed) to.write(piece);
  });
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function quietly(call: () => void): void {
  try {
    call();
  } catch {
    // It is not there.
  }
}
