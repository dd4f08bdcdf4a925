/**
 * What the broker does on the cache volume, beside nginx which owns it: it watches the disk, removes, purges and verifies.
 * One for each broker process; the first does the work, the others ask it. Started by `broker.ts`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../../../observe/log.ts';
import { elapsedMs } from '../../../registry/elapsed.ts';
import type { BrokerConfig, BrokerMirror } from '../broker-config.ts';
import { Admission, type Decide, type Fill } from './admission.ts';
import { Evictor } from './evictor.ts';
import { post, type Told, targets } from './process-link.ts';
import type { Removed } from './purge.ts';
import { Purger } from './purger.ts';
import { RemoteVolume } from './remote-volume.ts';
import { type FilledBlob, Scrubber } from './scrubber.ts';
import type { StoreMirrorReport, StoreReport } from './store-report.ts';
import { answerStoreRequest, type PurgeOrder, type StoreActions } from './store-requests.ts';
import { removeTornFiles } from './torn-files.ts';
import { UnverifiedMark } from './unverified-mark.ts';
import { VolumeWatch } from './volume-watch.ts';

export interface StoreOptions {
  /** Which of the broker's processes this is. */
  readonly index: number;
  /** Drops everything that this process remembers of a mirror's objects; `corrupt` is the digest of a blob whose bytes were others. */
  readonly forget: (mirror: string, corrupt?: string) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly now?: () => number;
}

export class Store {
  readonly #options: StoreOptions;
  #config: BrokerConfig;
  readonly #admission: Admission;
  readonly #evictor: Evictor;
  readonly #scrubber: Scrubber;
  readonly #volume: VolumeWatch;
  readonly #remote: RemoteVolume;
  readonly #purger: Purger;

  constructor(config: BrokerConfig, options: StoreOptions) {
    const { log, signal, now = Date.now } = options;
    const elapsed = options.now ?? elapsedMs;
    this.#options = options;
    this.#config = config;
    const outstanding = () => this.#admission.outstanding();
    const decide: Decide = (wish, reserve) =>
      this.#isFirst ? this.#volume.admit(wish, reserve) : this.#remote.decide(wish, reserve);
    this.#admission = new Admission({ decide, onFilled: (blob) => this.#noteFilled(blob), now: elapsed });
    this.#evictor = new Evictor({ log, signal, now, elapsed });
    this.#volume = new VolumeWatch({
      dir: config.stateDir,
      evictor: this.#evictor,
      outstanding,
      sliceBytes: config.sliceBytes,
      log,
      signal,
      now,
      elapsed,
    });
    this.#remote = new RemoteVolume({
      first: () => this.#socket(0),
      own: () => this.#socket(options.index),
      outstanding,
      signal,
      elapsed,
    });
    this.#scrubber = new Scrubber({
      mirrors: () => this.#config.mirrors.map(({ name }) => name),
      mark: new UnverifiedMark(config.stateDir, log),
      place: (mirror) => this.#place(mirror),
      isBusy: () => this.#volume.isBusy,
      onCorrupt: (mirror, digest) => this.#forgetEverywhere(mirror, digest),
      log,
      signal,
      now,
      elapsed,
    });
    this.#purger = new Purger({
      mirror: (name) => this.#mirror(name),
      forget: (mirror) => this.#forgetEverywhere(mirror),
      log,
      signal,
    });
    this.configure(config);
  }

  /** Takes on another configuration of mirrors. */
  configure(config: BrokerConfig): void {
    this.#config = config;
    this.#evictor.configure(
      config.mirrors.map(({ name, cacheDir, maxSizeMiB }) => ({
        name,
        dir: cacheDir,
        limitBytes: maxSizeMiB * 2 ** 20,
      })),
    );
  }

  /** Works until the signal aborts; never rejects. */
  async run(): Promise<void> {
    if (this.#isFirst) await Promise.all([this.#volume.run(), this.#scrubber.run(), this.#removeTorn()]);
    else await this.#remote.run();
  }

  /** Once: they come of the end of a machine, and the broker ends with it. */
  async #removeTorn(): Promise<void> {
    const { log, signal } = this.#options;
    for (const { name, cacheDir } of this.#config.mirrors) {
      try {
        const removed = await removeTornFiles(cacheDir, signal);
        if (removed > 0) log.warn({ mirror: name, removed }, 'Cached files that were cut short were removed');
      } catch (error) {
        log.error({ mirror: name, error }, 'Cached files that were cut short were not removed');
      }
    }
  }

  /** Begins a request of nginx. */
  begin(mirror: string, response: ServerResponse): Fill {
    return this.#admission.begin(mirror, response);
  }

  #noteFilled(blob: FilledBlob): void {
    if (this.#isFirst) this.#scrubber.note(blob);
    else this.#remote.note(blob);
  }

  /** Answers what `isStoreRequest` is true for. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await answerStoreRequest(this.#actions, request, response);
  }

  /** Undefined in every process but the first. */
  report(): StoreReport | undefined {
    if (!this.#isFirst) return undefined;
    const mirrors = this.#config.mirrors.map((mirror) => this.#mirrorReport(mirror));
    return { volume: this.#volume.report(), mirrors };
  }

  get #isFirst(): boolean {
    return this.#options.index === 0;
  }

  get #actions(): StoreActions {
    return {
      purge: (order) => this.#purge(order),
      scrub: (mirror) => this.#scrub(mirror),
      forget: (mirror, corrupt) => this.#forget(mirror, corrupt),
      tell: (told) => this.#hear(told),
      report: () => this.report(),
    };
  }

  #mirrorReport({ name, maxSizeMiB }: BrokerMirror): StoreMirrorReport {
    const { bytes, files, evicted } = this.#evictor.holding(name);
    return {
      name,
      bytes,
      files,
      limitBytes: maxSizeMiB * 2 ** 20,
      evicted,
      purges: this.#purger.report(name),
      scrub: this.#scrubber.report(name),
    };
  }

  #socket(index: number): string {
    return this.#config.sockets[index] ?? '';
  }

  #mirror(name: string): BrokerMirror | undefined {
    return this.#config.mirrors.find((mirror) => mirror.name === name);
  }

  #place(name: string) {
    const mirror = this.#mirror(name);
    return mirror && { dir: mirror.cacheDir, sliceBytes: this.#config.sliceBytes };
  }

  async #purge(order: PurgeOrder): Promise<Removed | undefined> {
    try {
      return await this.#purger.purge(order);
    } finally {
      this.#evictor.noteDisturbance(order.mirror);
    }
  }

  async #scrub(mirror: string): Promise<{ queued: number } | undefined> {
    if (this.#mirror(mirror) === undefined) return undefined;
    return { queued: await this.#scrubber.noteAll(mirror) };
  }

  async #hear({ from, outstanding, wish, filled }: Told): Promise<{ keep: boolean }> {
    this.#volume.noteOther(from, outstanding);
    for (const blob of filled) this.#scrubber.note(blob);
    if (wish === undefined) return { keep: false };
    const keep = await this.#volume.admit(wish, () => this.#volume.noteOther(from, outstanding + wish.bytes));
    return { keep };
  }

  #forget(mirror: string, corrupt?: string): void {
    this.#admission.notePurge(mirror);
    this.#evictor.noteDisturbance(mirror);
    this.#options.forget(mirror, corrupt);
  }

  async #forgetEverywhere(mirror: string, corrupt?: string): Promise<void> {
    this.#forget(mirror, corrupt);
    const others = this.#config.sockets
      .slice(1)
      .map((socket) =>
        post(socket, targets.forget, { mirror, corrupt }).catch((error: unknown) =>
          this.#options.log.warn({ error, socket }, 'Another broker process was not told to forget'),
        ),
      );
    await Promise.all(others);
  }
}
