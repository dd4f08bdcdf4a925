/** The connections of nginx's that are on their way to a worker: one that dies before it has taken them would leave nginx waiting. */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { ConnectionMessage } from './messages.ts';

export class HandedOver {
  readonly #sockets = new Map<number, Socket>();
  #next = 0;

  /** Gives a paused connection to `worker`, which says when it has it. */
  give(socket: Socket, worker: ChildProcess): void {
    const message: ConnectionMessage = { connection: this.#next++ };
    this.#sockets.set(message.connection, socket);
    socket.on('error', () => {});
    worker.send(message, socket, { keepOpen: true }, (error) => {
      if (error !== null) this.taken(message.connection);
    });
  }

  /** Closes what this process has of it. */
  taken(connection: number): void {
    this.#sockets.get(connection)?.destroy();
    this.#sockets.delete(connection);
  }

  /** The worker is dead: nginx asks elsewhere. */
  breakOff(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#sockets.clear();
  }
}
