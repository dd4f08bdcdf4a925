/** A TCP proxy on 127.0.0.1 that can be cut, so that one client loses a server all others still reach. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  port: number;
  /** Ends all connections and ends each new one at once. */
  cut(): void;
  /** Passes nothing on any more but keeps connections open, new ones too: what a dead node looks like. */
  freeze(): void;
  /** Ends all connections once when so many bytes have come from the server; new ones work. */
  breakAfter(bytes: number): void;
  /** How often `breakAfter` has ended connections. */
  readonly broken: number;
  /** Passes on again; what was frozen stays so, new connections work. */
  restore(): void;
  stop(): Promise<void>;
}

/** Starts a proxy in front of `targetHost`:`targetPort`. */
export async function startTcpProxy(targetPort: number, targetHost = '127.0.0.1'): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let mode: 'pass' | 'cut' | 'frozen' = 'pass';
  let left = Number.POSITIVE_INFINITY;
  let broken = 0;
  const count = (bytes: number) => {
    left -= bytes;
    if (left > 0) return;
    left = Number.POSITIVE_INFINITY;
    broken++;
    for (const socket of sockets) socket.destroy();
  };
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    track(client);
    if (mode === 'cut') client.destroy();
    if (mode !== 'pass') return;
    const target = connect(targetPort, targetHost);
    track(target);
    client.pipe(target).pipe(client);
    target.on('data', (piece) => count(piece.length));
    client.on('close', () => target.destroy());
    target.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      mode = 'cut';
      for (const socket of sockets) socket.destroy();
    },
    freeze() {
      mode = 'frozen';
      for (const socket of sockets) socket.unpipe().pause();
    },
    breakAfter(bytes) {
      left = bytes;
    },
    get broken() {
      return broken;
    },
    restore() {
      mode = 'pass';
      left = Number.POSITIVE_INFINITY;
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
