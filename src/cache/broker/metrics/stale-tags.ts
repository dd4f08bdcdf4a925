/** Which tags are served although nobody could ask whether they still stand. */

/** A copy is asked about each time it is used: one that was not for this long is not being served. Milliseconds. */
const shownMs = 5 * 60_000;
/** Enough to know that things are bad. */
const limit = 10_000;

export class StaleTags {
  readonly #now: () => number;
  readonly #tags = new Map<string, number>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The copy of `tag` could not be revalidated. */
  note(tag: string): void {
    this.#tags.delete(tag);
    this.#tags.set(tag, this.#now());
    if (this.#tags.size > limit) this.#tags.delete(this.#tags.keys().next().value ?? '');
  }

  /** The upstream has told what `tag` is, or that it is gone. */
  clear(tag: string): void {
    this.#tags.delete(tag);
  }

  count(): number {
    for (const [tag, at] of this.#tags) {
      if (at > this.#now() - shownMs) break;
      this.#tags.delete(tag);
    }
    return this.#tags.size;
  }
}
