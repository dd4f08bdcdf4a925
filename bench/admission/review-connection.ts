/** One kept TLS connection that sends the same POST again and again, with as little work of its own as can be: the machine is shared with who is measured. */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

export interface ReviewTarget {
  readonly port: number;
  readonly path: string;
  readonly headers: readonly string[];
  /** Of every answer. */
  readonly status: number;
  readonly ca: Buffer;
  readonly body: Buffer;
}

const headEnd = '\r\n\r\n';
const lastChunk = Buffer.from('0\r\n\r\n');

export class ReviewConnection {
  readonly #socket: TLSSocket;
  readonly #request: Buffer;
  readonly #status: number;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve: (answer: string) => void; reject: (error: Error) => void } | undefined;

  static async open(target: ReviewTarget): Promise<ReviewConnection> {
    const socket = connect({ port: target.port, host: '127.0.0.1', servername: 'localhost', ca: target.ca });
    await once(socket, 'secureConnect');
    return new ReviewConnection(socket, target);
  }

  private constructor(socket: TLSSocket, { path, headers, status, body }: ReviewTarget) {
    const lines = [
      `POST ${path} HTTP/1.1`,
      'Host: localhost',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      ...headers,
    ];
    const head = `${lines.join('\r\n')}${headEnd}`;
    this.#status = status;
    this.#socket = socket.setNoDelay();
    this.#request = Buffer.concat([Buffer.from(head), body]);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#waiting?.reject(error));
    socket.on('close', () => this.#waiting?.reject(new Error('The connection was closed')));
  }

  /** Resolves with the body of the answer; rejects when its status is another or the connection ends. */
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
    const body = this.#received.subarray(end + headEnd.length);
    const answer = wholeBody(head, body);
    if (answer === undefined) return;
    // Nothing is sent ahead, so nothing follows an answer.
    this.#received = Buffer.alloc(0);
    if (head.startsWith(`HTTP/1.1 ${this.#status} `)) this.#waiting?.resolve(answer);
    else this.#waiting?.reject(new Error(`Expected ${this.#status}, got ${head.slice(0, 40)}: ${answer}`));
  }
}

/** The body of an answer with a length or in chunks; undefined while some of it is missing. */
function wholeBody(head: string, body: Buffer): string | undefined {
  const length = /content-length: (\d+)/i.exec(head)?.[1];
  if (length !== undefined) return body.length < Number(length) ? undefined : body.toString();
  return body.subarray(-lastChunk.length).equals(lastChunk) ? joined(body) : undefined;
}

function joined(chunked: Buffer): string {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const start = chunked.indexOf('\r\n', at) + 2;
    const size = Number.parseInt(chunked.toString('latin1', at, start), 16);
    if (!(size > 0)) return Buffer.concat(chunks).toString();
    chunks.push(chunked.subarray(start, start + size));
    at = start + size + 2;
  }
}
