/** The volume as the broker's other processes see it: the first one decides for all. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Decide } from './admission.ts';
import { post, type Told, targets } from './process-link.ts';
import type { FilledBlob } from './scrubber.ts';
import type { Wish } from './volume-watch.ts';

export interface RemoteVolumeOptions {
  /** Sockets of the first process and of this one. */
  readonly first: () => string;
  readonly own: () => string;
  readonly outstanding: () => number;
  readonly signal: AbortSignal;
  readonly elapsed: () => number;
}

/** Well before the first process forgets what it was told. Milliseconds. */
const everyMs = 2_000;
/** Whoever has waited so long for the first process waits for the others too, until `run` has an answer. Milliseconds. */
const [slowMs, awayMs] = [1_000, 10_000];
/** More are not remembered while the first process is away. */
const maxFilled = 1_000;

export class RemoteVolume {
  readonly #options: RemoteVolumeOptions;
  readonly #filled = new Map<string, FilledBlob>();
  #last: Promise<unknown> = Promise.resolve();
  /** The first process has not answered: nobody else waits for it until then. */
  #awayUntil = 0;

  constructor(options: RemoteVolumeOptions) {
    this.#options = options;
  }

  /** While the first process is away nobody can say. */
  decide: Decide = async (wish, reserve) => {
    const isAllowed = this.#isAway() ? undefined : await this.#tell(wish).catch(() => undefined);
    if (isAllowed === true) reserve();
    return isAllowed;
  };

  note(blob: FilledBlob): void {
    if (this.#filled.size < maxFilled) this.#filled.set(`${blob.mirror} ${blob.digest}`, blob);
  }

  /** Tells every few seconds, until its signal aborts. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      await this.#tell().catch(() => {});
      await delay(everyMs, undefined, { signal }).catch(() => {});
    }
  }

  #isAway(): boolean {
    return this.#options.elapsed() < this.#awayUntil;
  }

  /** One after the other: what is outstanding must hold what the answer before granted. */
  #tell(wish?: Wish): Promise<boolean | undefined> {
    const answer = this.#last.then(() => this.#tellNow(wish));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #tellNow(wish?: Wish): Promise<boolean | undefined> {
    if (wish !== undefined && this.#isAway()) return undefined;
    const began = this.#options.elapsed();
    const filled = [...this.#filled.values()];
    this.#filled.clear();
    const told: Told = { from: this.#options.own(), outstanding: this.#options.outstanding(), wish, filled };
    try {
      const { keep } = (await post(this.#options.first(), targets.tell, told)) as { keep: unknown };
      this.#awayUntil = 0;
      return keep === true;
    } catch (error) {
      const now = this.#options.elapsed();
      if (now - began > slowMs) this.#awayUntil = now + awayMs;
      for (const blob of filled) this.note(blob);
      throw error;
    }
  }
}
