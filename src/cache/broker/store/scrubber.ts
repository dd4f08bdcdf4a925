/**
 * Verifies blobs after they came in slice by slice: nobody saw all of them at once. One at a time and slowly; what does not
 * match its digest is removed, so that the next client gets it anew.
 */
import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../../observe/log.ts';
import { type Digest, parseDigest } from '../../../registry/digest.ts';
import { readCacheFile } from './cache-file.ts';
import { forEachObject, removeFile } from './cache-folder.ts';
import type { StoreMirrorReport } from './store-report.ts';
import type { UnverifiedMark } from './unverified-mark.ts';
import { type StoredBlob, slicesOf, verifyBlob } from './verify-blob.ts';

/** A blob of which slices came in. */
export interface FilledBlob {
  readonly mirror: string;
  readonly digest: string;
  readonly totalBytes: number;
}

export interface ScrubberOptions {
  /** By name. */
  readonly mirrors: () => readonly string[];
  /** Where a mirror's slices lie; undefined: it is gone. */
  readonly place: (mirror: string) => { readonly dir: string; readonly sliceBytes: number } | undefined;
  /** True while clients wait for misses. */
  readonly isBusy: () => boolean;
  /** Called after a corrupt blob was removed: what is remembered of its source must go as well, and it may have come from another replica. */
  readonly onCorrupt: (mirror: string, digest: string) => Promise<void>;
  readonly mark: UnverifiedMark;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** What time it is, and a clock that nobody sets. */
  readonly now: () => number;
  readonly elapsed: () => number;
}

type Counts = StoreMirrorReport['scrub'];

/** Nothing may have come in for this long. Milliseconds. */
const quietMs = 5_000;
const lookMs = 1_000;
/** Bytes a second that are read; a quarter of it while misses run. */
const idleRate = 64 * 2 ** 20;
const busyRate = idleRate / 4;
/** More blobs than this do not wait: those that waited longest are left unverified. */
const maxWaiting = 65_536;

interface Waiting extends FilledBlob {
  readonly digestOf: Digest;
  readonly notBefore: number;
}

export class Scrubber {
  readonly #options: ScrubberOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #counts = new Map<string, Counts>();

  constructor(options: ScrubberOptions) {
    this.#options = options;
  }

  /** Notes that a slice of a blob came in; it is verified when all are there and no more come. */
  note(blob: FilledBlob, quiet = quietMs): void {
    const digestOf = parseDigest(blob.digest);
    if (digestOf === undefined) return;
    this.#options.mark.set(this.#options.now());
    const key = `${blob.mirror} ${blob.digest}`;
    this.#waiting.delete(key);
    this.#waiting.set(key, { ...blob, digestOf, notBefore: this.#options.elapsed() + quiet });
    if (this.#waiting.size <= maxWaiting) return;
    for (const oldest of this.#waiting.keys()) {
      this.#waiting.delete(oldest);
      return;
    }
  }

  /** Puts every blob that lies in a mirror's folder into the queue, or those of which something was written since then; returns how many were found. */
  async noteAll(mirror: string, since = 0): Promise<number> {
    const place = this.#options.place(mirror);
    if (place === undefined) return 0;
    const found = new Set<string>();
    await forEachObject(place.dir, this.#options.signal, async ({ path, temporary }) => {
      if (since > 0 && !(await wasWrittenSince(path, since))) return;
      const file = temporary === undefined ? await readCacheFile(path) : undefined;
      const blob = file?.key.kind === 'blob' && file.key.repository === undefined ? file.key : undefined;
      if (blob === undefined || found.has(blob.digest.text)) return;
      const total = /^bytes \d+-\d+\/(\d+)$/.exec(file?.head?.headers.get('content-range') ?? '')?.[1];
      const length = file?.head?.status === 200 ? file.head.headers.get('content-length') : undefined;
      const totalBytes = Number(total ?? length);
      if (!Number.isSafeInteger(totalBytes)) return;
      found.add(blob.digest.text);
      this.note({ mirror, digest: blob.digest.text, totalBytes }, 0);
    });
    return found.size;
  }

  /** Verifies one blob after the other until its signal aborts. */
  async run(): Promise<void> {
    const { signal, log, mark } = this.#options;
    await this.#goOn();
    while (!signal.aborted) {
      const next = this.#take();
      if (this.#waiting.size === 0 && next === undefined) mark.clear();
      if (next === undefined) await delay(lookMs, undefined, { signal }).catch(() => {});
      else {
        await this.#verify(next).catch((error: unknown) => {
          if (!signal.aborted) log.error({ error, digest: next.digest }, 'Cached blob failed to be verified');
        });
      }
    }
  }

  /** With what the broker before this one was not done with. */
  async #goOn(): Promise<void> {
    const { mark, mirrors, log } = this.#options;
    try {
      const since = await mark.read();
      if (since === undefined) return;
      for (const mirror of mirrors()) await this.noteAll(mirror, since);
    } catch (error) {
      log.error({ error }, 'What was not verified before was not looked for');
    }
  }

  report(mirror: string): Counts {
    return this.#counts.get(mirror) ?? { checked: 0, bytes: 0, corrupt: 0 };
  }

  #take(): Waiting | undefined {
    const now = this.#options.elapsed();
    for (const [key, waiting] of this.#waiting) {
      if (waiting.notBefore > now) continue;
      this.#waiting.delete(key);
      return waiting;
    }
    return undefined;
  }

  async #verify({ mirror, digestOf: digest, totalBytes }: Waiting): Promise<void> {
    const place = this.#options.place(mirror);
    if (place === undefined) return;
    const blob: StoredBlob = { mirror, digest, totalBytes, ...place };
    const { outcome, bytes } = await verifyBlob(blob, (read) => this.#pace(read));
    if (outcome === 'incomplete') return;
    const before = this.report(mirror);
    const counts = { ...before, checked: before.checked + 1, bytes: before.bytes + bytes };
    this.#counts.set(mirror, counts);
    if (outcome === 'sound') return;
    await remove(blob, this.#options.signal);
    const at = new Date(this.#options.now()).toISOString();
    this.#counts.set(mirror, {
      ...counts,
      corrupt: before.corrupt + 1,
      lastCorrupt: { digest: digest.text, at },
    });
    this.#options.log.warn({ mirror, digest: digest.text }, 'Cached blob was not what its digest says');
    await this.#options.onCorrupt(mirror, digest.text);
  }

  async #pace(bytes: number): Promise<void> {
    const { isBusy, signal } = this.#options;
    await delay((bytes / (isBusy() ? busyRate : idleRate)) * 1000, undefined, { signal });
  }
}

/** One that vanished was not. */
async function wasWrittenSince(path: string, since: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && found.mtimeMs >= since;
}

/** There are as many as the size says that an upstream stated. */
async function remove(blob: StoredBlob, signal: AbortSignal): Promise<void> {
  for (const { path } of slicesOf(blob)) {
    signal.throwIfAborted();
    await removeFile(path);
  }
}
