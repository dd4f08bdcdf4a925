/**
 * How often the same is applied to one object. Where another controller puts its own back each time (an admission enforcer of a managed cluster, a mesh),
 * two programs would else write as fast as the API server lets them, for ever.
 */
import { createHash } from 'node:crypto';

/** Edits of people are put back at once; nobody makes so many in a minute. */
const mostInWindow = 10;
const windowMs = 60_000;

interface Applied {
  readonly what: string;
  /** When, in milliseconds; the oldest first. */
  readonly at: readonly number[];
}

export class ApplyLimit {
  readonly #applied = new Map<string, Applied>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether the object with this uid may be made `desired` once more; a call that may counts as done. */
  allows(uid: string, desired: object): boolean {
    const now = this.#now();
    for (const [each, { at }] of this.#applied) if (isOver(at.at(-1), now)) this.#applied.delete(each);
    const what = createHash('sha256').update(JSON.stringify(desired)).digest('base64');
    const last = this.#applied.get(uid);
    const at = last?.what === what ? last.at.filter((time) => !isOver(time, now)) : [];
    if (at.length >= mostInWindow) return false;
    this.#applied.set(uid, { what, at: [...at, now] });
    return true;
  }
}

function isOver(time: number | undefined, now: number): boolean {
  return time === undefined || now - time >= windowMs;
}
