/** Why nothing is kept at the moment, and since when. */
import type { Logger } from '../../../observe/log.ts';
import type { VolumeReport } from './store-report.ts';
import type { VolumeFault } from './volume.ts';

/** Who found it: a look at the volume, the write probe, or the count of what is free. The first of them is told. */
const finders = ['look', 'probe', 'room'] as const;
type Finder = (typeof finders)[number];

export class VolumeFaults {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #found = new Map<Finder, VolumeFault>();
  #current: VolumeFault | undefined;
  #since: number;

  constructor(log: Logger, now: () => number) {
    this.#log = log;
    this.#now = now;
    this.#since = now();
  }

  /** The fault that stands; undefined: all is well. */
  get current(): VolumeFault | undefined {
    return this.#current;
  }

  has(finder: Finder): boolean {
    return this.#found.has(finder);
  }

  /** Takes what one of them found; undefined: nothing. Logs changes of the reason only. */
  set(finder: Finder, fault: VolumeFault | undefined): void {
    if (fault === undefined) this.#found.delete(finder);
    else this.#found.set(finder, fault);
    const before = this.#current;
    this.#current = finders.map((one) => this.#found.get(one)).find((found) => found !== undefined);
    if (this.#current?.reason === before?.reason) return;
    this.#since = this.#now();
    if (this.#current === undefined) this.#log.info('Cache volume is written to again');
    else {
      const { reason, message } = this.#current;
      this.#log.warn({ reason, detail: message }, 'Misses are passed through and not kept');
    }
  }

  report(): Pick<VolumeReport, 'writable' | 'reason' | 'since' | 'message'> {
    const fault = this.#current;
    return {
      writable: fault === undefined,
      reason: fault?.reason ?? 'Ok',
      since: new Date(this.#since).toISOString(),
      ...(fault && { message: fault.message }),
    };
  }
}
