/** The connections of nginx's that one worker has; the supervisor holds on to each, so that a worker's death does not close it. */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';

interface Held {
  readonly socket: Socket;
  /** A slice is on its way. */
  isSlice: boolean;
}

/** What is no chunk of a chunked body. */
const noChunk = '!\r\n';

export class HeldConnections {
  readonly #held = new Map<number, Held>();
  #next = 0;

  /** Gives a paused connection to `worker` and keeps it open here as well. */
  handOver(socket: Socket, worker: ChildProcess): void {
    const connection = this.#next++;
    this.#held.set(connection, { socket, isSlice: false });
    socket.on('error', () => {});
    worker.send({ connection }, socket, { keepOpen: true }, (error) => {
      if (error !== null) this.close(connection);
    });
  }

  mark(connection: number, isSlice: boolean): void {
    const held = this.#held.get(connection);
    if (held !== undefined) held.isSlice = isSlice;
  }

  close(connection: number): void {
    this.#held.get(connection)?.socket.destroy();
    this.#held.delete(connection);
  }

  /**
   * The worker is dead. nginx would take the mere end of a slice for the slice's own end and go on with the next one, and the client would
   * get bytes that are out of place; what is no chunk makes nginx drop the client. Other answers have a length: their end is noticed.
   */
  breakOff(): void {
    for (const { socket, isSlice } of this.#held.values()) {
      if (isSlice) socket.end(noChunk, () => socket.destroy());
      else socket.destroy();
    }
    this.#held.clear();
  }
}
