import type { MirrorList } from './options.ts';

/** After so many ms what no list names is nobody's any more. */
const strangerMs = 180_000;

/**
 * Mirrors on the node that the list does not name. The list may be up to a minute and a half late: one that is wired by an agent of its own
 * may be newer, and taking it back would be undone by that at once, again and again.
 */
export class Strangers {
  readonly #now: () => number;
  readonly #since = new Map<string, number>();
  #gone: readonly string[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  follow({ mirrors, others = [], gone = [] }: MirrorList): void {
    for (const name of [...mirrors.map((mirror) => mirror.name), ...others]) this.#since.delete(name);
    this.#gone = gone;
  }

  /** Asked in every pass about each that is there. */
  mayTakeBack(name: string): boolean {
    const since = this.#since.get(name) ?? this.#now();
    this.#since.set(name, since);
    return this.#gone.includes(name) || this.#now() - since >= strangerMs;
  }
}
