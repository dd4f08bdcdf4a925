/** Sums over the last hour, in steps of a minute. */

const stepMs = 60_000;
const steps = 60;

export class LastHour {
  readonly #now: () => number;
  readonly #sums = new Float64Array(steps);
  /** Number of the minute that was added to last. */
  #minute: number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.#minute = Math.floor(now() / stepMs);
  }

  add(amount: number): void {
    this.#forget();
    const at = this.#minute % steps;
    this.#sums[at] = (this.#sums[at] ?? 0) + amount;
  }

  total(): number {
    this.#forget();
    return this.#sums.reduce((sum, value) => sum + value, 0);
  }

  /** Empties the minutes that have begun since; a clock that was set back changes nothing. */
  #forget(): void {
    const now = Math.floor(this.#now() / stepMs);
    for (let passed = Math.min(steps, now - this.#minute); passed > 0; passed--) {
      this.#sums[(now - passed + 1) % steps] = 0;
    }
    this.#minute = Math.max(now, this.#minute);
  }
}
