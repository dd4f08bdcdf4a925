/** The least of the values of the last hour, forgotten to the minute. */

const hourMs = 3_600_000;
/** Of several values within this time, one that is above the one before is not remembered. Milliseconds. */
const stepMs = 60_000;

export class LeastOfHour {
  readonly #elapsed: () => number;
  /** Rising: what is older and not smaller is never the least again. */
  #noted: { readonly at: number; readonly value: number }[] = [];

  constructor(elapsed: () => number) {
    this.#elapsed = elapsed;
  }

  note(value: number): void {
    const at = this.#elapsed();
    this.#noted = this.#noted.filter((noted) => noted.value < value);
    const last = this.#noted.at(-1);
    if (last === undefined || at - last.at >= stepMs) this.#noted.push({ at, value });
  }

  /** Undefined: nothing was noted. */
  least(): number | undefined {
    const from = this.#elapsed() - hourMs;
    this.#noted = this.#noted.filter(({ at }) => at > from);
    return this.#noted[0]?.value;
  }

  clear(): void {
    this.#noted = [];
  }
}
