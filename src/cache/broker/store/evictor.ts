/**
 * Removes what was used longest ago. nginx does the same within its own bound, but only every ten seconds, and it knows
 * nothing of the volume; a file that vanishes under it is a miss that heals itself (docs/adr/0012-the-cache-volume.md).
 */
import type { Logger } from '../../../observe/log.ts';
import { removeFile } from './cache-folder.ts';
import { type AgedFile, ageOf, type Census, takeCensus } from './census.ts';
import { LeastOfHour } from './least-of-hour.ts';

/** One mirror's folder. */
export interface CacheFolder {
  readonly name: string;
  readonly dir: string;
  readonly limitBytes: number;
}

export interface Evicted {
  readonly files: number;
  readonly bytes: number;
  readonly youngestSeconds?: number;
}

/** A walk is made at most once in this time, and takes at most a tenth of it all. Milliseconds. */
const walkEveryMs = 60_000;
const walkShare = 10;
/** When room is short a walk may follow the last one sooner. Milliseconds. */
const hurriedWalkMs = 250;
/** How far above its bound nginx may be between two of its rounds before we step in. */
const excess = 1 + 1 / 8;
/** From here on nginx may just have made room: it never removes much more than it has to. */
const nearLimit = 1 - 1 / 8;

/** What is known of one folder: the last walk, and what came in and was removed since. */
interface Holding {
  folder: CacheFolder;
  bytes: number;
  files: number;
  oldest: AgedFile[];
  evicted: { files: number; bytes: number };
  /** For how long what had to go had not been used, whoever removed it. Milliseconds. */
  readonly unusedMs: LeastOfHour;
  /** Paths and last uses of files that were there at the last walk and that nobody but nginx may have removed since. */
  sample: Map<string, number>;
  /** How often others than nginx and we have removed files. */
  disturbances: number;
}

export interface EvictorOptions {
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** As files are dated. */
  readonly now: () => number;
  /** For what is done every so often. */
  readonly elapsed: () => number;
}

export class Evictor {
  readonly #options: EvictorOptions;
  #holdings: Holding[] = [];
  #walk: Promise<void> | undefined;
  #walkedAt = Number.NEGATIVE_INFINITY;
  #walkMs = 0;
  #removing: Promise<unknown> = Promise.resolve();
  /** Not removed whatever is short, in bytes: what somebody else takes of the volume is not made good with our objects. */
  #keptBytes = Number.POSITIVE_INFINITY;

  constructor(options: EvictorOptions) {
    this.#options = options;
  }

  /** Takes the folders of a configuration; what is known of those that stay is kept. */
  configure(folders: readonly CacheFolder[]): void {
    const known = new Map(this.#holdings.map((holding) => [holding.folder.dir, holding]));
    // The same objects: a walk may be counting into them.
    this.#holdings = folders.map((folder) => {
      const before = known.get(folder.dir);
      // What had to go when there was less room says nothing any more.
      if (before !== undefined && before.folder.limitBytes < folder.limitBytes) before.unusedMs.clear();
      return Object.assign(before ?? this.#nothing(), { folder });
    });
    if (folders.some(({ dir }) => !known.has(dir))) this.#walkedAt = Number.NEGATIVE_INFINITY;
  }

  get heldBytes(): number {
    return this.#holdings.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Notes that nginx was let write so many bytes for a mirror. */
  noteIncoming(mirror: string, bytes: number): void {
    const holding = this.#holdings.find(({ folder }) => folder.name === mirror);
    if (holding === undefined) return;
    holding.bytes += bytes;
    holding.files += 1;
  }

  /** Notes that files of a mirror were or are being removed for another reason than that room was short. */
  noteDisturbance(mirror: string): void {
    const holding = this.#holdings.find(({ folder }) => folder.name === mirror);
    if (holding === undefined) return;
    holding.disturbances += 1;
    holding.sample.clear();
  }

  /** What may be removed at most, in bytes. */
  get removableBytes(): number {
    return Math.max(0, this.heldBytes - this.#keptBytes);
  }

  /** True while there is something that may be removed. */
  get mayRemove(): boolean {
    return this.removableBytes > 0 && this.#holdings.some(({ oldest }) => oldest.length > 0);
  }

  /**
   * Walks if it is time to. The first walk decides what is never given to others: half of what can be ours on this
   * volume, where `freeBytes` are free and we leave `spareBytes`.
   */
  async look(freeBytes: number, spareBytes: number): Promise<void> {
    if (this.#options.elapsed() < this.#walkedAt + Math.max(walkEveryMs, walkShare * this.#walkMs)) return;
    const isFirst = this.#keptBytes === Number.POSITIVE_INFINITY;
    await this.#walkAll();
    if (!isFirst || this.#options.signal.aborted) return;
    const limit = this.#holdings.reduce((sum, { folder }) => sum + folder.limitBytes, 0);
    this.#keptBytes = Math.max(0, Math.min(limit, this.heldBytes + freeBytes - spareBytes)) / 2;
  }

  /** Brings every folder that is well above its bound back to it: nginx looks every ten seconds only. */
  async trim(): Promise<void> {
    const isOver = ({ bytes, folder }: Holding) => bytes > excess * folder.limitBytes;
    if (!this.#holdings.some(isOver)) return;
    // nginx does not tell what it removed since the last walk.
    if (!(await this.#walkInHurry())) return;
    for (const holding of this.#holdings.filter(isOver)) {
      const bytes = holding.bytes - holding.folder.limitBytes;
      await this.#inTurn(() => this.#removeFrom(() => holding, bytes));
    }
  }

  /** Removes the oldest files of all folders until `bytes` are gone or nothing may be; returns how many bytes that were. */
  async free(bytes: number): Promise<number> {
    return this.#inTurn(async () => {
      const first = await this.#removeFrom(() => this.#oldestHolding(), bytes);
      if (first >= bytes || this.heldBytes <= this.#keptBytes || !(await this.#walkInHurry())) return first;
      return first + (await this.#removeFrom(() => this.#oldestHolding(), bytes - first));
    });
  }

  /** What is known of a mirror's folder. */
  holding(mirror: string): { bytes: number; files: number; evicted: Evicted } {
    const holding = this.#holdings.find(({ folder }) => folder.name === mirror);
    const { bytes, files, evicted, unusedMs } = holding ?? this.#nothing();
    const least = unusedMs.least();
    const youngest = least === undefined ? {} : { youngestSeconds: Math.round(least / 1000) };
    return { bytes, files, evicted: { ...evicted, ...youngest } };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#removing.then(work);
    this.#removing = result.catch(() => {});
    return result;
  }

  async #removeFrom(next: () => Holding | undefined, bytes: number): Promise<number> {
    let removed = 0;
    while (removed < bytes && !this.#options.signal.aborted) {
      const holding = next();
      const file = holding?.oldest.shift();
      if (holding === undefined || file === undefined) break;
      removed += await this.#remove(holding, file);
    }
    return removed;
  }

  /** The folder whose oldest file is the oldest of all, while anything may be removed. */
  #oldestHolding(): Holding | undefined {
    if (this.heldBytes <= this.#keptBytes) return undefined;
    const age = ({ oldest }: Holding) => oldest[0]?.usedMs ?? Number.POSITIVE_INFINITY;
    return this.#holdings
      .filter(({ oldest }) => oldest.length > 0)
      .sort((one, other) => age(one) - age(other))[0];
  }

  /** Returns the bytes that are gone; none when nginx was quicker or somebody used the file since the walk. */
  async #remove(holding: Holding, { path, bytes, usedMs }: AgedFile): Promise<number> {
    const now = await ageOf(path);
    if (now !== undefined && now.usedMs > usedMs) return 0;
    holding.bytes = Math.max(0, holding.bytes - bytes);
    holding.files = Math.max(0, holding.files - 1);
    // Whether it was nginx, the next walk finds out.
    if (now === undefined) return 0;
    holding.sample.delete(path);
    await removeFile(path);
    holding.evicted.files += 1;
    holding.evicted.bytes += bytes;
    this.#noteUnused(holding, usedMs);
    return bytes;
  }

  #noteUnused({ unusedMs }: Holding, usedMs: number): void {
    unusedMs.note(Math.max(0, this.#options.now() - usedMs));
  }

  async #walkInHurry(): Promise<boolean> {
    const due = this.#walkedAt + Math.max(hurriedWalkMs, walkShare * this.#walkMs);
    if (this.#walk === undefined && this.#options.elapsed() < due) return false;
    await this.#walkAll();
    return true;
  }

  #walkAll(): Promise<void> {
    this.#walk ??= this.#takeAll().finally(() => {
      this.#walk = undefined;
    });
    return this.#walk;
  }

  async #takeAll(): Promise<void> {
    const { elapsed, signal, log } = this.#options;
    const startedAt = elapsed();
    for (const holding of this.#holdings) {
      const { bytes, disturbances } = holding;
      const census = await takeCensus(holding.folder.dir, signal);
      if (signal.aborted) return;
      await this.#noteGone(holding, census);
      take(holding, census, { bytes, disturbances });
    }
    this.#walkedAt = elapsed();
    this.#walkMs = this.#walkedAt - startedAt;
    log.debug({ ms: this.#walkMs, bytes: this.heldBytes }, 'Cache folders counted');
  }

  /** What was there at the last walk and is gone, nginx has removed, which does not tell: for room where there was little, else because nobody had asked for it (`inactive`). */
  async #noteGone(holding: Holding, { bytes, sample }: Census): Promise<void> {
    if (Math.max(bytes, holding.bytes) < nearLimit * holding.folder.limitBytes) return;
    const there = new Set(sample.map(({ path }) => path));
    for (const [path, usedMs] of holding.sample) {
      // Others may have pushed it out of the sample. What nginx replaces meanwhile has its name again.
      if (!there.has(path) && (await ageOf(path)) === undefined) this.#noteUnused(holding, usedMs);
    }
  }

  #nothing(): Omit<Holding, 'folder'> {
    const unusedMs = new LeastOfHour(this.#options.elapsed);
    const evicted = { files: 0, bytes: 0 };
    return { bytes: 0, files: 0, oldest: [], evicted, unusedMs, sample: new Map(), disturbances: 0 };
  }
}

/** What came in while the walk lasted may be counted or not: rather too much than too little. */
function take(holding: Holding, census: Census, before: Pick<Holding, 'bytes' | 'disturbances'>): void {
  holding.bytes = census.bytes + Math.max(0, holding.bytes - before.bytes);
  holding.files = census.files;
  holding.oldest = census.oldest;
  const isDisturbed = holding.disturbances !== before.disturbances;
  holding.sample = new Map(isDisturbed ? [] : census.sample.map(({ path, usedMs }) => [path, usedMs]));
}
