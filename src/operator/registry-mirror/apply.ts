/** The one place that writes a mirror's objects: by server-side apply, and only where the live object differs. */
import { createHash } from 'node:crypto';
import { fieldManager } from '../../api/names.ts';
import type { KubeClient } from '../../kube/client.ts';
import { type KubeObject, keyOf, parseKey } from '../../kube/object.ts';
import type { Logger } from '../../observe/log.ts';
import type { Home } from '../views.ts';
import { WritePace } from '../write-pace.ts';
import { adoptionPatch } from './adoption.ts';
import { difference } from './differs.ts';

export interface ApplierOptions {
  readonly client: KubeClient;
  /** The type of an object we write, and the view that shows it. */
  readonly home: (object: Pick<KubeObject, 'kind'>) => Home;
  readonly logger: Logger;
}

/** Brings single objects to what they should be. */
export class Applier {
  readonly #options: ApplierOptions;
  /** Edits of people are put back at once; nobody makes so many in a minute. */
  readonly #pace = new WritePace({ most: 10 });

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /**
   * Returns the object as it is afterwards; makes no request where it is as desired. Throws what the server says, and `WaitingError` where somebody else
   * has undone the same time and again.
   */
  async apply(desired: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    const { client, home, logger } = this.#options;
    const { type, view } = home(desired);
    const key = keyOf(desired);
    const seen = view?.get(key);
    // What is being deleted does not come back by writing to it; its end is an event.
    if (seen?.metadata.deletionTimestamp !== undefined && desired.kind !== 'RegistryMirror') return seen;
    const live = seen === undefined ? undefined : await this.#adopt(seen, desired, signal);
    const path = difference(desired, live, { manager: fieldManager });
    if (live !== undefined && path === undefined) return live;
    const what = hashOf(desired);
    const uid = live?.metadata.uid ?? key;
    this.#pace.wait(uid, what, { object: `${desired.kind} ${key}`, where: path });
    if (live !== undefined && isFixed(live, desired)) await this.delete(live, signal);
    const applied = await client.apply(type, desired, { fieldManager, force: true, signal });
    view?.written(applied);
    this.#pace.prune();
    if (live !== undefined) this.#pace.wrote(uid, what);
    logger.info({ kind: desired.kind, object: key, difference: path }, 'Applied an object');
    return applied;
  }

  /** False where the status is what it should be. */
  statusDiffers(desired: KubeObject): boolean {
    const live = this.#options.home(desired).view?.get(keyOf(desired));
    return difference(desired, live, { manager: fieldManager, subresource: 'status' }) !== undefined;
  }

  /** Applies the status subresource. */
  async applyStatus(desired: KubeObject, signal: AbortSignal): Promise<void> {
    const { client, home } = this.#options;
    const { type, view } = home(desired);
    if (!this.statusDiffers(desired)) return;
    const options = { fieldManager, force: true, subresource: 'status', signal };
    view?.written(await client.apply(type, desired, options));
  }

  /** Deletes the object that is live now, not one that took its name meanwhile. */
  async delete(live: KubeObject, signal: AbortSignal): Promise<void> {
    const { client, home, logger } = this.#options;
    const { type, view } = home(live);
    const { uid } = live.metadata;
    const preconditions = uid === undefined ? {} : { preconditions: { uid } };
    const key = keyOf(live);
    await client.delete(type, parseKey(key), { propagationPolicy: 'Background', ...preconditions, signal });
    view?.sawOff(live);
    logger.info({ kind: live.kind, object: key }, 'Deleted an object');
  }

  async #adopt(live: KubeObject, desired: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    if (desired.kind === 'RegistryMirror') return live;
    const patch = adoptionPatch(live);
    if (patch === undefined) return live;
    const { client, home, logger } = this.#options;
    const { type, view } = home(live);
    const key = keyOf(live);
    const options = { contentType: 'json', fieldManager, signal } as const;
    const adopted = await client.patch(type, parseKey(key), patch, options);
    view?.written(adopted);
    logger.info({ kind: live.kind, object: key }, 'Took over an object of an earlier operator');
    return adopted;
  }
}

/** No write makes such a Secret what is desired. */
function isFixed(live: KubeObject, desired: KubeObject): boolean {
  if (desired.kind !== 'Secret') return false;
  const [is, wanted] = [live, desired].map((secret) => secret['type'] ?? 'Opaque');
  return live['immutable'] === true || is !== wanted;
}

function hashOf(desired: KubeObject): string {
  return createHash('sha256').update(JSON.stringify(desired)).digest('base64');
}
