/**
 * How often the same is written to one object. Where another controller puts it back each time, two programs would else write as fast as the API
 * server lets them, for ever.
 */

import { WaitingError } from '../observe/errors.ts';

/** In so long the same is written so often as is allowed. */
const windowMs = 60_000;

interface Written {
  readonly what: string;
  /** When, the oldest first. */
  readonly at: readonly number[];
}

export interface WritePaceOptions {
  /** How often in a minute; once. */
  readonly most?: number;
  readonly now?: (() => number) | undefined;
}

export class WritePace {
  readonly #written = new Map<string, Written>();
  readonly #most: number;
  readonly #now: () => number;

  constructor({ most = 1, now = () => performance.now() }: WritePaceOptions = {}) {
    this.#most = most;
    this.#now = now;
  }

  /** Milliseconds until `what` may be written to the object with this uid; 0: now. */
  waitMs(uid: string, what: string): number {
    const [oldest, ...others] = this.#timesOf(uid, what);
    const isFree = oldest === undefined || others.length + 1 < this.#most;
    return isFree ? 0 : Math.max(0, oldest + windowMs - this.#now());
  }

  /** Throws a `WaitingError` until it may; `object` names the object, `where` what of it is undone. */
  wait(
    uid: string,
    what: string,
    { object, where }: { readonly object: string; readonly where?: string | undefined },
  ): void {
    const waitMs = this.waitMs(uid, what);
    const undone = where === undefined ? '' : ` (${where})`;
    if (waitMs > 0)
      throw new WaitingError(
        'UndoneByOthers',
        `${object}: somebody undoes each write of ours${undone}`,
        waitMs,
      );
  }

  /** Remembers a write. */
  wrote(uid: string, what: string): void {
    this.#written.set(uid, { what, at: [...this.#timesOf(uid, what), this.#now()].slice(-this.#most) });
  }

  /** Forgets all other objects. */
  keep(uids: ReadonlySet<string>): void {
    for (const uid of this.#written.keys()) if (!uids.has(uid)) this.#written.delete(uid);
  }

  /** Forgets what holds nothing up any more. */
  prune(): void {
    const since = this.#now() - windowMs;
    for (const [uid, { at }] of this.#written) if ((at.at(-1) ?? since) <= since) this.#written.delete(uid);
  }

  #timesOf(uid: string, what: string): readonly number[] {
    const last = this.#written.get(uid);
    return last?.what === what ? last.at : [];
  }
}
