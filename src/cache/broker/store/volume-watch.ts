/**
 * Decides whether an answer may be kept on the volume, and sees to it that there is room. One for each pod, in the first
 * broker process; the others ask it (`admission.ts`), so that together they never promise more than is free.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../../observe/log.ts';
import type { Evictor } from './evictor.ts';
import type { VolumeReport } from './store-report.ts';
import {
  floorOf,
  highMark,
  isFault,
  lookAt,
  lowMark,
  probe,
  type Space,
  type VolumeFault,
} from './volume.ts';
import { VolumeFaults } from './volume-faults.ts';

export interface VolumeWatchOptions {
  /** On the volume of the cache; for the write probe. */
  readonly dir: string;
  readonly evictor: Evictor;
  /** What this process has promised and nginx not yet written, in bytes. */
  readonly outstanding: () => number;
  /** nginx's `slice`: a volume that has not even room for one is full. */
  readonly sliceBytes: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** As faults are dated. */
  readonly now: () => number;
  /** For what is done every so often. */
  readonly elapsed: () => number;
}

/** What one answer wants to have kept. */
export interface Wish {
  readonly mirror: string;
  readonly bytes: number;
}

const everyMs = 1_000;
const probeEveryMs = 10_000;
/** A look is good for those who come right after it. Milliseconds. */
const freshMs = 5;
/** A miss waits for room at most this long; then it is passed through. Milliseconds. */
const patienceMs = 1_000;
/** What another process has promised is forgotten when it has not said so again. Milliseconds. */
const forgetMs = 10_000;

export class VolumeWatch {
  readonly #options: VolumeWatchOptions;
  readonly #faults: VolumeFaults;
  readonly #others = new Map<string, { bytes: number; at: number }>();
  #space: Space = { sizeBytes: 0, freeBytes: 0, filesShort: false };
  #looking: Promise<Space | VolumeFault> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #probedAt: number;
  #making: Promise<void> | undefined;

  constructor(options: VolumeWatchOptions) {
    this.#options = options;
    this.#faults = new VolumeFaults(options.log, options.now);
    this.#probedAt = options.elapsed();
  }

  /** Looks every second until its signal aborts. */
  async run(): Promise<void> {
    const { signal, log } = this.#options;
    while (!signal.aborted) {
      await this.tick().catch((error: unknown) => log.error({ error }, 'Cache volume failed to be watched'));
      await delay(everyMs, undefined, { signal }).catch(() => {});
    }
  }

  /** One look, with all that follows from it. */
  async tick(): Promise<void> {
    const { evictor } = this.#options;
    await this.#probe();
    if (isFault(await this.#look(0))) return;
    await evictor.look(this.#space.freeBytes, highMark(this.#space.sizeBytes));
    await evictor.trim();
    await this.#makeRoomOnce(0);
    this.#judge();
  }

  /**
   * True when an answer may be kept; `reserve` is then called at once, before anybody else is asked. Never rejects. It waits
   * for room only where there is none.
   */
  async admit({ mirror, bytes }: Wish, reserve: () => void): Promise<boolean> {
    if (isFault(await this.#look())) return false;
    if (this.#room() < bytes && this.#mayMakeRoom(bytes)) await this.#waitForRoom(bytes);
    this.#judge();
    if (this.#faults.current !== undefined || this.#room() < bytes) return false;
    reserve();
    this.#options.evictor.noteIncoming(mirror, bytes);
    // Nobody waits for this.
    void this.#makeRoomOnce(0);
    return true;
  }

  /** Notes what another process has promised in all, which it says each time it asks. */
  noteOther(name: string, bytes: number): void {
    this.#others.set(name, { bytes, at: this.#options.elapsed() });
  }

  /** True while anything is on its way to the volume. */
  get isBusy(): boolean {
    return this.#promised() > 0;
  }

  report(): VolumeReport {
    const { sizeBytes, freeBytes } = this.#space;
    return { sizeBytes, freeBytes, floorBytes: floorOf(sizeBytes), ...this.#faults.report() };
  }

  /** What may still be promised. With hardly any file left to be made: nothing. */
  #room(): number {
    if (this.#space.filesShort) return 0;
    return this.#space.freeBytes - floorOf(this.#space.sizeBytes) - this.#promised();
  }

  #promised(): number {
    const alive = this.#options.elapsed() - forgetMs;
    let sum = this.#options.outstanding();
    for (const [name, { bytes, at }] of this.#others) {
      if (at < alive) this.#others.delete(name);
      else sum += bytes;
    }
    return sum;
  }

  async #look(maxAgeMs = freshMs): Promise<Space | VolumeFault> {
    const { elapsed, dir } = this.#options;
    if (this.#looking !== undefined) return this.#looking;
    if (!this.#faults.has('look') && elapsed() - this.#lookedAt < maxAgeMs) return this.#space;
    this.#looking = lookAt(dir).finally(() => {
      this.#looking = undefined;
    });
    const found = await this.#looking;
    this.#lookedAt = elapsed();
    this.#faults.set('look', isFault(found) ? found : undefined);
    if (!isFault(found)) this.#space = found;
    return found;
  }

  async #probe(): Promise<void> {
    const { elapsed, dir } = this.#options;
    if (!this.#faults.has('probe') && elapsed() - this.#probedAt < probeEveryMs) return;
    this.#faults.set('probe', await probe(dir));
    this.#probedAt = elapsed();
  }

  /** Frees what is missing for `bytes` more, and up to the high mark while it is at it. */
  async #makeRoom(bytes: number): Promise<void> {
    const { sizeBytes, filesShort } = this.#space;
    const floor = floorOf(sizeBytes);
    const room = this.#room();
    if (room >= Math.max(bytes, lowMark(sizeBytes) - floor)) return;
    const wanted = filesShort ? floor / 16 : Math.max(bytes, highMark(sizeBytes) - floor) - room;
    if ((await this.#options.evictor.free(wanted)) > 0) await this.#look(0);
  }

  /** Nothing is removed for what would not fit even then: a whole blob from an upstream without ranges. */
  #mayMakeRoom(bytes: number): boolean {
    return this.#room() + this.#options.evictor.removableBytes >= bytes;
  }

  async #waitForRoom(bytes: number): Promise<void> {
    const patience = new AbortController();
    const over = delay(patienceMs, undefined, { signal: patience.signal, ref: false }).catch(() => {});
    await Promise.race([this.#makeRoomOnce(bytes), over]);
    patience.abort();
  }

  /** What is missing is missing once, however many notice it at the same time. Never rejects. */
  #makeRoomOnce(bytes: number): Promise<void> {
    this.#making ??= this.#makeRoom(bytes)
      .catch((error: unknown) => this.#options.log.error({ error }, 'Cache files failed to be removed'))
      .finally(() => {
        this.#making = undefined;
      });
    return this.#making;
  }

  /**
   * Full: there is no room for a slice and nothing of ours that may go. It ends only with room for several, so that it
   * does not come and go with every file of somebody else.
   */
  #judge(): void {
    const { evictor, sliceBytes } = this.#options;
    const { sizeBytes, freeBytes, filesShort } = this.#space;
    const spare = lowMark(sizeBytes) - floorOf(sizeBytes);
    const enough = this.#faults.has('room') ? spare : Math.min(sliceBytes, spare);
    const hasRoom = !filesShort && freeBytes - floorOf(sizeBytes) >= enough;
    const message = filesShort
      ? 'the volume has hardly any file left to be made'
      : `${Math.floor(freeBytes / 2 ** 20)} MiB are free and the rest is not the cache's to remove`;
    this.#faults.set('room', hasRoom || evictor.mayRemove ? undefined : { reason: 'Full', message });
  }
}
