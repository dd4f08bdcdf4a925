/** Whether nginx may keep an answer: asked before its head is written, by everything that serves one. */
import type { ServerResponse } from 'node:http';
import type { BlobWindow } from '../../../registry/blob-range.ts';
import { type Answer, keepFor } from '../answer.ts';
import { Reservations } from './reservations.ts';
import type { FilledBlob } from './scrubber.ts';
import type { Wish } from './volume-watch.ts';

/** One request whose answer nginx may want to keep. */
export interface Fill {
  /**
   * True when an answer of so many bytes may be kept; undefined: of a size that nobody knows. False: it must be given with
   * `keepFor(0)`, so that it passes through nginx without touching the volume. Never rejects.
   */
  keeps(bytes: number | undefined): Promise<boolean>;
  /** Asks for as much again as an answer of unknown length was promised. False: there is no room. Never rejects. */
  grows(): Promise<boolean>;
  /** It is not to be kept, whatever room there is. */
  forgo(): void;
  /** False once one of them has been said. */
  readonly mayBeKept: boolean;
  /** Notes that this part of a blob was given whole, to be kept. */
  filled(digest: string, part: BlobWindow): void;
}

/** Of what may pass through nginx and nothing more. */
export const passing: Fill = {
  keeps: async () => false,
  grows: async () => true,
  forgo: () => {},
  mayBeKept: false,
  filled: () => {},
};

/** Returns the answer as it is, or with the order not to keep it. nginx has what it revalidates: that takes no room. */
export async function keptIfRoom(fill: Fill, answer: Answer): Promise<Answer> {
  const { status, headers, body } = answer;
  if (status === 304 || headers['X-Accel-Expires'] === '0') return answer;
  if (await fill.keeps(Buffer.byteLength(body))) return answer;
  return { ...answer, headers: { ...headers, ...keepFor(0) } };
}

/**
 * Decides about a wish; undefined: nobody can say. `reserve` is called at once when it is granted, so that the next one sees what is promised. Never
 * rejects.
 */
export type Decide = (wish: Wish, reserve: () => void) => Promise<boolean | undefined>;

/** What a body of unknown length is taken for, and asked for again when it is longer. Bytes. */
export const assumedBytes = 256 * 2 ** 20;

export class Admission {
  readonly #decide: Decide;
  readonly #onFilled: (blob: FilledBlob) => void;
  readonly #reservations: Reservations;
  readonly #purges = new Map<string, number>();

  constructor(options: {
    readonly decide: Decide;
    readonly onFilled: (blob: FilledBlob) => void;
    readonly now: () => number;
  }) {
    this.#decide = options.decide;
    this.#onFilled = options.onFilled;
    this.#reservations = new Reservations(options.now);
  }

  /** Bytes that nginx was let write and may not have written yet. */
  outstanding(): number {
    return this.#reservations.outstanding();
  }

  /** Begins a request; what is purged after this is not kept by it, however old the upstream's answer is. */
  begin(mirror: string, response: ServerResponse): Fill {
    const purges = this.#purges.get(mirror);
    let mayBeKept = true;
    const decide = (bytes: number) =>
      this.#decide({ mirror, bytes }, () => this.#reservations.add(bytes, response));
    const keeps = async (bytes: number = assumedBytes) => {
      const isAllowed = mayBeKept && (await decide(bytes)) === true;
      mayBeKept = isAllowed && this.#purges.get(mirror) === purges;
      return mayBeKept;
    };
    const grows = async () => (await decide(assumedBytes)) !== false;
    const forgo = () => {
      mayBeKept = false;
    };
    const filled = (digest: string, { start, end, total }: BlobWindow) => {
      // What was whole was verified on its way.
      const isWhole = start === 0 && end !== undefined && end + 1 === total;
      if (total !== undefined && !isWhole) this.#onFilled({ mirror, digest, totalBytes: total });
    };
    return {
      keeps,
      grows,
      forgo,
      filled,
      get mayBeKept() {
        return mayBeKept;
      },
    };
  }

  /** From now on nothing is kept of what is being asked of the upstream at this moment. */
  notePurge(mirror: string): void {
    this.#purges.set(mirror, (this.#purges.get(mirror) ?? 0) + 1);
  }
}
