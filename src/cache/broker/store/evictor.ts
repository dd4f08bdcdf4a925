/**
 * Removes what was used longest ago. nginx does the same within its own bound, but only every ten seconds, and it knows
 * nothing of the volume; a file that vanishes under it is a miss that heals itself (docs/adr/0012-the-cache-volume.md).
 */
import type { Logger } from '../../../observe/log.ts';
import { removeFile } from './cache-folder.ts';
import { type AgedFile, ageOf, type Census, takeCensus } from './census.ts';

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

/** What is known of one folder: the last walk, and what came in and was removed since. */
interface Holding {
  folder: CacheFolder;
  bytes: number;
  files: number;
  oldest: AgedFile[];
  evicted: { files: number; bytes: number; youngestMs: number | undefined };
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
    this.#holdings = folders.map((folder) => Object.assign(known.get(folder.dir) ?? nothing(), { folder }));
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
    const { bytes, files, evicted } = holding ?? nothing();
    const { youngestMs, ...counts } = evicted;
    const youngest = youngestMs === undefined ? {} : { youngestSeconds: Math.round(youngestMs / 1000) };
    return { bytes, files, evicted: { ...counts, ...youngest } };
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
    if (now === undefined) return 0;
    await removeFile(path);
    const { evicted } = holding;
    const ageMs = this.#options.now() - usedMs;
    evicted.files += 1;
    evicted.bytes += bytes;
    evicted.youngestMs = Math.max(0, Math.min(ageMs, evicted.youngestMs ?? Number.POSITIVE_INFINITY));
    return bytes;
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
      const before = holding.bytes;
      const census = await takeCensus(holding.folder.dir, signal);
      if (signal.aborted) return;
      take(holding, census, before);
    }
    this.#walkedAt = elapsed();
    this.#walkMs = this.#walkedAt - startedAt;
    log.debug({ ms: this.#walkMs, bytes: this.heldBytes }, 'Cache folders counted');
  }
}

/** What came in while the walk lasted may be counted or not: rather too much than too little. */
function take(holding: Holding, census: Census, before: number): void {
  holding.bytes = census.bytes + Math.max(0, holding.bytes - before);
  holding.files = census.files;
  holding.oldest = census.oldest;
}

function nothing(): Omit<Holding, 'folder'> {
  return { bytes: 0, files: 0, oldest: [], evicted: { files: 0, bytes: 0, youngestMs: undefined } };
}
