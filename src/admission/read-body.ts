/** Reads bodies of requests within bounds of size and time. */
import type { IncomingMessage } from 'node:http';

/** `tooLong` and `tooSlow` come with the beginning of the body. */
export interface Body {
  readonly outcome: 'complete' | 'tooLong' | 'tooSlow';
  readonly text: string;
  /** False where the client is still sending. */
  readonly isOver: boolean;
}

export interface BodyLimits {
  /** Bytes of a body that is used. What is longer is read and dropped, so that its sender gets to read our answer. */
  readonly bytes: number;
  /** Bytes after which nothing is read any more. */
  readonly droppedBytes: number;
  readonly ms: number;
}

/** How often slow ones are looked for: a timer for each request would cost a twentieth of its time. */
const lookMs = 500;

export class BodyReader {
  readonly #limits: BodyLimits;
  readonly #reading = new Set<Reading>();
  readonly #timer: NodeJS.Timeout;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
    this.#timer = setInterval(() => this.#endSlow(), lookMs).unref();
  }

  /** Calls `done` once; never, where the client goes away. */
  read(request: IncomingMessage, done: (body: Body) => void): void {
    const reading = new Reading(request, this.#limits, (body) => {
      this.#reading.delete(reading);
      done(body);
    });
    this.#reading.add(reading);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #endSlow(): void {
    const before = performance.now() - this.#limits.ms;
    for (const reading of this.#reading) {
      if (reading.isGone) this.#reading.delete(reading);
      else if (reading.started < before) reading.giveUp();
    }
  }
}

class Reading {
  readonly started = performance.now();
  readonly #request: IncomingMessage;
  readonly #limits: BodyLimits;
  #done: ((body: Body) => void) | undefined;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(request: IncomingMessage, limits: BodyLimits, done: (body: Body) => void) {
    this.#request = request;
    this.#limits = limits;
    this.#done = done;
    request.on('data', (chunk: Buffer) => this.#take(chunk));
    request.on('end', () => this.#finish(this.#size > limits.bytes ? 'tooLong' : 'complete', true));
  }

  /** The client has gone away. */
  get isGone(): boolean {
    return this.#request.destroyed;
  }

  giveUp(): void {
    this.#finish('tooSlow', false);
  }

  #take(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size <= this.#limits.bytes) this.#chunks.push(chunk);
    if (this.#size > this.#limits.droppedBytes) this.#finish('tooLong', false);
  }

  #finish(outcome: Body['outcome'], isOver: boolean): void {
    const done = this.#done;
    this.#done = undefined;
    if (done === undefined) return;
    const text = textOf(this.#chunks);
    this.#chunks = [];
    done({ outcome, isOver, text });
  }
}

function textOf(chunks: readonly Buffer[]): string {
  const [first] = chunks;
  return (chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)).toString();
}
