/** What a Service is to the API server: new connections go to backends that say they are ready; those that exist stay where they are. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Backend {
  readonly port: number;
  isReady(): Promise<boolean>;
}

export interface TcpBalancer {
  readonly port: number;
  add(backend: Backend): void;
  remove(backend: Backend): void;
  stop(): Promise<void>;
}

/** How long it takes until a backend that is not ready is sent no more connections; endpoints take longer. */
const lookMs = 200;

export async function startTcpBalancer(): Promise<TcpBalancer> {
  const backends = new Map<Backend, boolean>();
  const sockets = new Set<Socket>();
  let turn = 0;
  const look = async () => {
    for (const backend of backends.keys()) backends.set(backend, await backend.isReady());
  };
  const looking = setInterval(() => void look(), lookMs);
  const track = (socket: Socket) => {
    sockets.add(socket.setNoDelay());
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    track(client);
    const ready = [...backends].filter(([, isReady]) => isReady).map(([backend]) => backend);
    const chosen = ready[turn++ % ready.length];
    if (chosen === undefined) return void client.destroy();
    const target = connect({ port: chosen.port, host: '127.0.0.1', allowHalfOpen: true });
    track(target);
    client.pipe(target).pipe(client);
    client.on('close', () => target.destroy());
    target.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    add: (backend) => void backends.set(backend, false),
    remove: (backend) => void backends.delete(backend),
    async stop() {
      clearInterval(looking);
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
