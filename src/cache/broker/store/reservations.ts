/** What nginx was told it may write and has not written yet, so that a burst of misses never promises a byte twice. */
import type { ServerResponse } from 'node:http';

/**
 * What of one answer may be between us and the volume: in nginx's buffers (16 of 64 KiB and one of 16 KiB) and in the
 * socket. Bytes.
 */
const inFlightBytes = 1.25 * 2 ** 20;
/** nginx's own header before each object, and the rest of its last block. Bytes. */
const perFileBytes = 8 * 1024;
/** So long after its last byte has left us nginx has an answer on disk. Milliseconds. */
const settleMs = 250;

interface Reservation {
  readonly bytes: number;
  /** Bytes of the answer that have left us so far. */
  readonly sent: () => number;
  endedAt: number | undefined;
}

export class Reservations {
  readonly #all = new Set<Reservation>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Notes that nginx may write an answer of so many bytes; it is over when `response` is. */
  add(bytes: number, response: ServerResponse): void {
    const { socket } = response;
    const before = socket?.bytesWritten ?? 0;
    const sent = () => (socket?.bytesWritten ?? 0) - before;
    const reservation: Reservation = { bytes, sent, endedAt: undefined };
    const end = () => {
      reservation.endedAt = this.#now();
    };
    this.#all.add(reservation);
    if (response.destroyed) end();
    else response.once('close', end);
  }

  /** Bytes that may still be written. */
  outstanding(): number {
    let sum = 0;
    for (const reservation of this.#all) {
      if (this.#now() > (reservation.endedAt ?? Number.POSITIVE_INFINITY) + settleMs) {
        this.#all.delete(reservation);
      } else sum += perFileBytes + left(reservation);
    }
    return sum;
  }
}

/** A connection that is kept alive serves others after the end: what is sent then is not this answer's. */
function left({ bytes, sent, endedAt }: Reservation): number {
  const rest = endedAt === undefined ? bytes - sent() : 0;
  return Math.max(rest, Math.min(bytes, inFlightBytes));
}
