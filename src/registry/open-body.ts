/** The body of a blob's answer, which does not end with the request it was asked for: another one may read on. */
import type { BlobAnswer } from './blob-source.ts';

export class OpenBody {
  readonly answer: BlobAnswer;
  readonly #reader: Reader;
  readonly #pieces: AsyncIterator<Buffer>;
  #rest: Buffer | undefined;
  #position: number;

  private constructor(answer: BlobAnswer, reader: Reader, position: number) {
    this.answer = answer;
    this.#reader = reader;
    this.#position = position;
    this.#pieces = (answer.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    // Of a body that breaks while nobody reads it, the next reader hears; without a listener the process would end.
    answer.body.on('error', () => {});
  }

  /** Opens what `ask` answers, for the reader who goes away with `signal`. A part begins at byte `start` of the blob. */
  static async open(
    signal: AbortSignal,
    start: number,
    ask: (signal: AbortSignal) => Promise<BlobAnswer>,
  ): Promise<OpenBody> {
    const reader = new Reader();
    reader.set(signal);
    try {
      const answer = await ask(reader.signal);
      return new OpenBody(answer, reader, answer.status === 206 ? start : 0);
    } catch (error) {
      reader.set(undefined);
      throw error;
    }
  }

  /** The byte of the blob that comes next. */
  get position(): number {
    return this.#position;
  }

  /** The next piece; undefined: there is none. Rejects with what the connection broke with. */
  async next(): Promise<Buffer | undefined> {
    const piece = this.#rest ?? ((await this.#pieces.next()).value as Buffer | undefined);
    this.#rest = undefined;
    this.#position += piece?.length ?? 0;
    return piece;
  }

  /** Makes the end of the piece that came last the next one. */
  putBack(rest: Buffer): void {
    this.#rest = rest.length > 0 ? rest : undefined;
    this.#position -= rest.length;
  }

  /** Makes it go on when its reader goes away, or end with another one. */
  setReader(signal: AbortSignal | undefined): void {
    this.#reader.set(signal);
  }

  /** Breaks the connection, unless all of the body has come. */
  close(): void {
    this.#reader.set(undefined);
    this.answer.body.destroy();
  }
}

/** A signal that is aborted with another one, which may change. */
class Reader {
  readonly #gone = new AbortController();
  #unset = () => {};

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  set(signal: AbortSignal | undefined): void {
    this.#unset();
    this.#unset = () => {};
    if (signal === undefined) return;
    const leave = () => this.#gone.abort(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    this.#unset = () => signal.removeEventListener('abort', leave);
  }
}
