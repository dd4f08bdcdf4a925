/**
 * How often the same is written to one object. Where another controller puts it back each time, two programs would else write as fast as the API
 * server lets them, for ever.
 */

/** What was written for so long ago is written again. */
const pauseMs = 60_000;

interface Written {
  readonly what: string;
  readonly at: number;
}

export class WritePace {
  readonly #written = new Map<string, Written>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Milliseconds until `what` may be written to the object with this uid; 0: now. */
  waitMs(uid: string, what: string): number {
    const last = this.#written.get(uid);
    return last?.what === what ? Math.max(0, last.at + pauseMs - this.#now()) : 0;
  }

  /** Remembers a write. */
  wrote(uid: string, what: string): void {
    this.#written.set(uid, { what, at: this.#now() });
  }

  /** Forgets all other objects. */
  keep(uids: ReadonlySet<string>): void {
    for (const uid of this.#written.keys()) if (!uids.has(uid)) this.#written.delete(uid);
  }
}
