/** Reads bodies of requests within bounds of size and time, and of memory for all of them together. */
import type { IncomingMessage } from 'node:http';

/** All but `complete` come with the beginning of the body. `tooMuch`: it was given up for others that were read at the same time. */
export interface Body {
  readonly outcome: 'complete' | 'tooLong' | 'tooSlow' | 'tooMuch';
  readonly text: string;
  /** False where the client is still sending. */
  readonly isOver: boolean;
}

export interface BodyLimits {
  /** Bytes of a body that is used. What is longer is read and dropped, so that its sender gets to read our answer. */
  readonly bytes: number;
  /** Bytes after which nothing is read any more. */
  readonly droppedBytes: number;
  /** Bytes of all bodies that are being read, with what their pieces take besides. */
  readonly heldBytes: number;
  readonly ms: number;
}

/** How often slow ones are looked for: a timer for each request would cost a twentieth of its time. */
const lookMs = 500;
/** What a piece of a body takes besides its bytes, rounded up: senders choose how small pieces are. */
const pieceBytes = 256;

export class BodyReader {
  readonly #limits: BodyLimits;
  /** In the order in which they began. */
  readonly #reading = new Set<Reading>();
  readonly #timer: NodeJS.Timeout;
  /** What they hold together. */
  #heldBytes = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
    this.#timer = setInterval(() => this.#endSlow(), lookMs).unref();
  }

  /** Calls `done` once; never, where the client goes away. */
  read(request: IncomingMessage, done: (body: Body) => void): void {
    const reading = new Reading(request, this.#limits, {
      held: (bytes) => this.#hold(reading, bytes),
      done: (body) => {
        this.#forget(reading);
        done(body);
      },
    });
    this.#reading.add(reading);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #hold(reading: Reading, bytes: number): void {
    // One that has gone away may still hand over what had come.
    if (!this.#reading.has(reading)) return;
    this.#heldBytes += bytes;
    while (this.#heldBytes > this.#limits.heldBytes) this.#giveUpOne();
  }

  #forget(reading: Reading): void {
    if (this.#reading.delete(reading)) this.#heldBytes -= reading.heldBytes;
  }

  /** The oldest that holds no less than its share: reviews of the API server are small, or here for a moment only. */
  #giveUpOne(): void {
    const share = this.#heldBytes / this.#reading.size;
    for (const reading of this.#reading) {
      if (reading.heldBytes < share) continue;
      if (reading.isGone) this.#forget(reading);
      else reading.giveUp('tooMuch');
      return;
    }
  }

  #endSlow(): void {
    const before = performance.now() - this.#limits.ms;
    for (const reading of this.#reading) {
      if (reading.isGone) this.#forget(reading);
      else if (reading.started < before) reading.giveUp('tooSlow');
    }
  }
}

interface ReadingListener {
  /** Told how much more is held. */
  readonly held: (bytes: number) => void;
  readonly done: (body: Body) => void;
}

class Reading {
  readonly started = performance.now();
  readonly #request: IncomingMessage;
  readonly #limits: BodyLimits;
  #listener: ReadingListener | undefined;
  #chunks: Buffer[] = [];
  #size = 0;
  #heldBytes = 0;

  constructor(request: IncomingMessage, limits: BodyLimits, listener: ReadingListener) {
    this.#request = request;
    this.#limits = limits;
    this.#listener = listener;
    request.on('data', (chunk: Buffer) => this.#take(chunk));
    request.on('end', () => this.#finish(this.#size > limits.bytes ? 'tooLong' : 'complete', true));
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The client has gone away. */
  get isGone(): boolean {
    return this.#request.destroyed;
  }

  /** Nothing more of it is read. */
  giveUp(outcome: 'tooSlow' | 'tooMuch'): void {
    // Putting megabytes together for their first line would take more memory in the moment in which there is none.
    if (outcome === 'tooMuch') this.#chunks.length = 1;
    this.#finish(outcome, false);
    this.#request.pause();
  }

  #take(chunk: Buffer): void {
    if (this.#listener === undefined) return;
    this.#size += chunk.length;
    if (this.#size <= this.#limits.bytes) this.#hold(chunk);
    if (this.#size > this.#limits.droppedBytes) this.#finish('tooLong', false);
  }

  #hold(chunk: Buffer): void {
    const bytes = chunk.length + pieceBytes;
    this.#chunks.push(chunk);
    this.#heldBytes += bytes;
    this.#listener?.held(bytes);
  }

  #finish(outcome: Body['outcome'], isOver: boolean): void {
    const listener = this.#listener;
    this.#listener = undefined;
    if (listener === undefined) return;
    const text = textOf(this.#chunks);
    this.#chunks = [];
    listener.done({ outcome, isOver, text });
  }
}

function textOf(chunks: readonly Buffer[]): string {
  const [first] = chunks;
  return (chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)).toString();
}
