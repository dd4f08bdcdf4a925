/** One kept TLS connection that sends the same POST again and again, with as little work of its own as can be: the machine is shared with who is measured. */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

export interface ReviewTarget {
  readonly port: number;
  readonly path: string;
  readonly ca: Buffer;
  readonly body: Buffer;
}

const headEnd = '\r\n\r\n';

export class ReviewConnection {
  readonly #socket: TLSSocket;
  readonly #request: Buffer;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve: (answer: string) => void; reject: (error: Error) => void } | undefined;

  static async open(target: ReviewTarget): Promise<ReviewConnection> {
    const socket = connect({ port: target.port, host: '127.0.0.1', servername: 'localhost', ca: target.ca });
    await once(socket, 'secureConnect');
    return new ReviewConnection(socket, target);
  }

  private constructor(socket: TLSSocket, { path, body }: ReviewTarget) {
    const head = `POST ${path}?timeout=10s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    this.#socket = socket.setNoDelay();
    this.#request = Buffer.concat([Buffer.from(head), body]);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#waiting?.reject(error));
    socket.on('close', () => this.#waiting?.reject(new Error('The connection was closed')));
  }

  /** Resolves with the body of the answer; rejects when it is none of 200 or the connection ends. */
  send(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(this.#request);
    });
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const end = this.#received.indexOf(headEnd);
    if (end < 0) return;
    const head = this.#received.toString('latin1', 0, end);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
    const bodyEnd = end + headEnd.length + length;
    if (this.#received.length < bodyEnd) return;
    const answer = this.#received.toString('utf8', end + headEnd.length, bodyEnd);
    this.#received = this.#received.subarray(bodyEnd);
    if (head.startsWith('HTTP/1.1 200 ')) this.#waiting?.resolve(answer);
    else this.#waiting?.reject(new Error(`Expected 200, got ${head.slice(0, 40)}`));
  }
}
