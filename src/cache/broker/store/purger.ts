/** Purges as they are asked for: every broker process forgets, then the files go. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../../observe/log.ts';
import type { BrokerMirror } from '../broker-config.ts';
import { purgeFolder, type Removed } from './purge.ts';
import type { StoreMirrorReport } from './store-report.ts';
import type { PurgeOrder } from './store-requests.ts';

export interface PurgerOptions {
  readonly mirror: (name: string) => BrokerMirror | undefined;
  /** Drops what is remembered of a mirror, in all processes. */
  readonly forget: (mirror: string) => Promise<void>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

type Counts = StoreMirrorReport['purges'];

/**
 * What of an answer has left us may still be on its way to a file of nginx for this long; a purge waits for it, so that
 * nothing is written after it has looked. Milliseconds.
 */
const onItsWayMs = 200;

export class Purger {
  readonly #options: PurgerOptions;
  readonly #counts = new Map<string, Counts>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: PurgerOptions) {
    this.#options = options;
  }

  /** One at a time, since each walks through the folder. Undefined for a mirror that is not there. */
  purge(order: PurgeOrder): Promise<Removed | undefined> {
    const purged = this.#last.then(() => this.#purgeNow(order));
    this.#last = purged.catch(() => {});
    return purged;
  }

  report(mirror: string): Counts {
    return this.#counts.get(mirror) ?? { requests: 0, files: 0, bytes: 0 };
  }

  async #purgeNow({ mirror: name, repository, reference }: PurgeOrder): Promise<Removed | undefined> {
    const { mirror: find, forget, log, signal } = this.#options;
    const mirror = find(name);
    if (mirror === undefined) return undefined;
    await forget(name);
    await delay(onItsWayMs, undefined, { signal });
    const repositories = spellings(mirror, repository);
    const removed = await purgeFolder(mirror.cacheDir, { repositories, reference }, signal);
    const { requests, files, bytes } = this.report(name);
    this.#counts.set(name, {
      requests: requests + 1,
      files: files + removed.removed,
      bytes: bytes + removed.bytes,
    });
    log.info({ mirror: name, repository, ...removed }, 'Purged');
    return removed;
  }
}

/** On Docker Hub `nginx` and `library/nginx` are one repository. */
function spellings({ upstream }: BrokerMirror, repository: string): ReadonlySet<string> {
  if (!upstream.dockerHub) return new Set([repository]);
  const official = /^library\/([^/]+)$/.exec(repository)?.[1];
  if (official !== undefined) return new Set([repository, official]);
  return new Set(repository.includes('/') ? [repository] : [repository, `library/${repository}`]);
}
