/**
 * Tells what became of each ImageMap: in its status, and by events where there is something to mend; and takes the finalizer of
 * kubernetes-image-mapper away. Called on every change of the rules and of a map; writes nothing where all of it is said.
 */
import { imageMapFinalizer } from '../../api/image-map-kind.ts';
import { fieldManager } from '../../api/names.ts';
import type { ImageMapFinding } from '../../image/rules/image-maps.ts';
import type { KubeClient, PatchOptions } from '../../kube/client.ts';
import { ApiError } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import { keyOf, parseKey } from '../../kube/object.ts';
import type { Logger } from '../../observe/log.ts';
import { imageMaps } from '../../rewriting/resource-types.ts';
import type { RuleWatch } from '../../rewriting/rule-watch.ts';
import type { LiveView } from '../live-view.ts';
import { eachOf } from '../polling/rounds.ts';
import { WritePace } from '../write-pace.ts';
import {
  newStatus,
  readyCondition,
  type StoredImageMap,
  saysTheSame,
  storedReady,
} from './image-map-status.ts';
import { NotesTeller } from './notes-teller.ts';

export interface ImageMapStatusesOptions {
  readonly client: Pick<KubeClient, 'patch'>;
  readonly rules: Pick<RuleWatch, 'table' | 'imageMaps'>;
  /** Of `rules.imageMaps`, with our own last writes. */
  readonly view: Pick<LiveView, 'get' | 'written' | 'sawOff'>;
  readonly events: Pick<EventRecorder, 'warning'>;
  readonly logger: Logger;
  readonly now?: () => Date;
}

const parallel = 8;

export class ImageMapStatuses {
  readonly #options: ImageMapStatusesOptions;
  readonly #now: () => Date;
  readonly #notes: NotesTeller;
  readonly #statuses: WritePace;
  readonly #finalizers: WritePace;
  #saidRival = false;

  constructor(options: ImageMapStatusesOptions) {
    this.#options = options;
    const { now } = options;
    this.#now = now ?? (() => new Date());
    this.#notes = new NotesTeller(options);
    const pace = { now: now && (() => now().getTime()) };
    this.#statuses = new WritePace(pace);
    this.#finalizers = new WritePace(pace);
  }

  /**
   * Makes each map tell what the rules made of it. Returns after how many milliseconds to put back what another controller changed; undefined:
   * nothing is left to do. A map that cannot be written keeps no other one waiting; the first error is thrown at the end.
   */
  async reconcile(signal: AbortSignal): Promise<number | undefined> {
    const { rules, logger } = this.#options;
    const { imageMaps: findings } = rules.table;
    // Compiled just now: the findings are those of these objects.
    const maps = rules.imageMaps.list() as StoredImageMap[];
    const byKey = new Map(findings.map((finding) => [`${finding.namespace}/${finding.name}`, finding]));
    const waits: number[] = [];
    const errors: unknown[] = [];
    await eachOf(maps, parallel, async (map) => {
      if (signal.aborted) return;
      const reconciled = this.#reconcileMap(map, byKey.get(keyOf(map)), signal);
      await reconciled.then((ms) => waits.push(...ms)).catch((error: unknown) => errors.push(error));
    });
    this.#forgetAllBut(maps);
    this.#sayRival(waits.length > 0);
    if (errors.length > 1) logger.warn({ maps: errors.length }, 'Could not write to several ImageMaps');
    if (errors.length > 0) throw errors[0];
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  /** Returns the milliseconds to wait with what another controller changed. */
  async #reconcileMap(
    map: StoredImageMap,
    finding: ImageMapFinding | undefined,
    signal: AbortSignal,
  ): Promise<number[]> {
    const { uid } = map.metadata;
    const newest = () => {
      const found = this.#options.view.get(keyOf(map)) as StoredImageMap | undefined;
      // One made anew under the same name has a finding of its own, soon.
      return found?.metadata.uid === uid ? found : undefined;
    };
    const waits = [await this.#release(newest(), signal)];
    if (finding !== undefined) {
      await this.#notes.tell(map, finding.notes);
      waits.push(await this.#writeStatus(newest(), map.metadata.generation, finding, signal));
    }
    return waits.filter((ms) => ms > 0);
  }

  /** Takes the original's finalizer away: also from maps that stay, which would else outlive this operator. */
  async #release(map: StoredImageMap | undefined, signal: AbortSignal): Promise<number> {
    const at = map?.metadata.finalizers?.indexOf(imageMapFinalizer) ?? -1;
    if (map === undefined || at < 0) return 0;
    const { uid = '', deletionTimestamp } = map.metadata;
    const waitMs = deletionTimestamp === undefined ? this.#finalizers.waitMs(uid, imageMapFinalizer) : 0;
    if (waitMs > 0) return waitMs;
    const path = `/metadata/finalizers/${at}`;
    const patch = [
      { op: 'test', path: '/metadata/uid', value: uid },
      { op: 'test', path, value: imageMapFinalizer },
      { op: 'remove', path },
    ];
    const released = await this.#patch(map, patch, { contentType: 'json', signal });
    this.#finalizers.wrote(uid, imageMapFinalizer);
    if (released === undefined) return 0;
    const isGone = deletionTimestamp !== undefined && !released.metadata.finalizers?.length;
    if (isGone) this.#options.view.sawOff(released);
    else this.#options.view.written(released);
    return 0;
  }

  /** The event comes first, and is named by what was before: a crash in between repeats nothing. */
  async #writeStatus(
    map: StoredImageMap | undefined,
    generation: number | undefined,
    { rejected }: ImageMapFinding,
    signal: AbortSignal,
  ): Promise<number> {
    const { events, logger, view } = this.#options;
    if (map === undefined) return 0;
    const ready = readyCondition({ generation, rejected }, this.#now());
    const status = newStatus(map, { generation, rejected }, ready);
    if (status === undefined) return 0;
    const { uid = '', resourceVersion } = map.metadata;
    const what = JSON.stringify([generation, ready.status, ready.message]);
    const waitMs = this.#statuses.waitMs(uid, what);
    if (waitMs > 0) return waitMs;
    const before = storedReady(map);
    const isNews = !saysTheSame(before, ready);
    if (isNews && rejected !== undefined)
      await events.warning(map, 'Rejected', rejected, { occurrence: before?.observationTime ?? '' });
    const patch = { metadata: { resourceVersion }, status };
    const written = await this.#patch(map, patch, { contentType: 'merge', subresource: 'status', signal });
    if (written === undefined) return 0;
    this.#statuses.wrote(uid, what);
    view.written(written);
    if (rejected !== undefined && isNews)
      logger.warn({ imageMap: keyOf(map), message: ready.message }, 'Rejected an ImageMap');
    else logger.debug({ imageMap: keyOf(map), ready: ready.status }, 'Wrote the status of an ImageMap');
    return 0;
  }

  /** Undefined for a map that is gone: nothing is left to say of it. */
  async #patch(
    map: StoredImageMap,
    patch: unknown,
    options: PatchOptions,
  ): Promise<StoredImageMap | undefined> {
    const { client } = this.#options;
    try {
      return await client.patch(imageMaps, parseKey(keyOf(map)), patch, { fieldManager, ...options });
    } catch (error) {
      if (error instanceof ApiError && error.notFound) return undefined;
      throw error;
    }
  }

  #forgetAllBut(maps: readonly StoredImageMap[]): void {
    const uids = new Set(maps.map(({ metadata }) => metadata.uid ?? ''));
    for (const memory of [this.#notes, this.#statuses, this.#finalizers]) memory.keep(uids);
  }

  #sayRival(isThere: boolean): void {
    if (isThere && !this.#saidRival)
      this.#options.logger.warn(
        'Another controller changes ImageMaps back; kubernetes-image-mapper is to be removed',
      );
    this.#saidRival = isThere;
  }
}
