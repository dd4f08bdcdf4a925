/**
 * Keeps the rules as the cluster has them: ImageMaps, imageswap's map, mirrors, and the labels of namespaces. Used by the webhook and by the
 * operator, each with watches of its own. Rules are compiled when they are asked for and something changed, and a moment after a change.
 */
import { imageswapConfigMap } from '../api/names.ts';
import type { RewriteSettings } from '../api/rewrite-settings.ts';
import { compileRules, type RuleSources, type RuleTable, recompileRules } from '../image/rules/table.ts';
import type { KubeClient, Selection } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { Reflector } from '../kube/reflector.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import { Store, type StoreChange } from '../kube/store.ts';
import type { Logger } from '../observe/log.ts';
import { MapFile } from './map-file.ts';
import { configMaps, imageMaps, namespaces, registryMirrors } from './resource-types.ts';
import { imageMapsOf, imageswapMapOf, isOwnMap, ruleMirrorsOf } from './sources.ts';

export interface RuleWatchOptions {
  readonly client: KubeClient;
  readonly settings: RewriteSettings;
  /** Upper bound of the pause before a lost list or watch is tried again. */
  readonly maxPauseMs: number;
  readonly logger: Logger;
}

/** After a change without a pod that asks: time for more changes of one `kubectl apply`. */
const settleMs = 100;

export class RuleWatch {
  /** Every ImageMap, as the API server has it. */
  readonly imageMaps: Store;
  readonly namespaces: Store;
  readonly #options: RuleWatchOptions;
  readonly #reflectors: Reflector[] = [];
  readonly #listeners = new Set<(table: RuleTable) => void>();
  readonly #changed = new Map<keyof RuleSources, () => RuleSources>();
  readonly #file: MapFile | undefined;
  #maps: Store | undefined;
  #hasToldOwnMap = false;
  #table: RuleTable;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RuleWatchOptions) {
    this.#options = options;
    const { imageswap, gilly, mirrors } = options.settings;
    this.#table = compileRules({ gilly, ...(imageswap && 'legacyPrefix' in imageswap && { imageswap }) });
    this.namespaces = this.#watch(namespaces, {}, withoutManagedFields);
    this.imageMaps = this.#watch(imageMaps, {}, withoutManagedFields);
    this.imageMaps.subscribe((change) => {
      if (changesMap(change))
        this.#change('imageMaps', () => ({ imageMaps: imageMapsOf(this.imageMaps.list()) }));
    });
    if (mirrors) this.#watchMirrors();
    if (imageswap && 'configMapNamespace' in imageswap) this.#watchMap(imageswap.configMapNamespace);
    if (imageswap && 'file' in imageswap) {
      const changed = (map: string | undefined) => this.#change('imageswap', () => mapSource(map));
      this.#file = new MapFile({ file: imageswap.file, changed, logger: options.logger });
    }
  }

  /** True once everything that rules are made from was read. */
  get synced(): boolean {
    return this.#reflectors.every(({ synced }) => synced) && (this.#file?.read ?? true);
  }

  /** The rules as they are now. */
  get table(): RuleTable {
    if (this.#changed.size > 0) this.#compile();
    return this.#table;
  }

  /** The ConfigMap that imageswap's map was read from; undefined where there is none. */
  get imageswapMap(): KubeObject | undefined {
    return this.#maps?.list()[0];
  }

  /** Calls `listener` with the rules after each change of them; returns what ends that. */
  subscribe(listener: (table: RuleTable) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Follows everything until `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const runs = this.#reflectors.map((reflector) => reflector.run(signal));
    await Promise.all([...runs, this.#file?.run(signal)]);
    clearTimeout(this.#timer);
  }

  #watchMirrors(): void {
    const mirrors = this.#watch(registryMirrors, {}, withoutManagedFields);
    let known = '[]';
    mirrors.subscribe(() => {
      const rules = ruleMirrorsOf(mirrors.list());
      const now = JSON.stringify(rules);
      // A mirror's status changes far more often than its rule.
      if (now === known) return;
      known = now;
      this.#change('mirrors', () => ({ mirrors: rules }));
    });
  }

  #watchMap(namespace: string): void {
    const fieldSelector = `metadata.name=${imageswapConfigMap.name}`;
    this.#maps = this.#watch(configMaps, { namespace, fieldSelector }, (object) =>
      withoutManagedFields(isOwnMap(object) ? this.#withoutData(object) : object),
    );
    let known: string | undefined;
    this.#maps.subscribe(() => {
      const map = imageswapMapOf(this.imageswapMap);
      if (map === known) return;
      known = map;
      this.#change('imageswap', () => mapSource(map));
    });
  }

  /** Left from scheme `services`: the addresses in it are of no use, and nobody keeps them up to date. */
  #withoutData({ data: _, ...object }: KubeObject & { data?: unknown }): KubeObject {
    const { namespace, name } = object.metadata;
    if (!this.#hasToldOwnMap)
      this.#options.logger.warn(
        { object: `${namespace}/${name}` },
        'The imageswap map is what the operator wrote in scheme services: it is no rule here',
      );
    this.#hasToldOwnMap = true;
    return object;
  }

  #watch(type: ResourceType, selection: Selection, prepare: (object: KubeObject) => KubeObject): Store {
    const { client, maxPauseMs, logger } = this.#options;
    const store = new Store({ prepare, logger });
    this.#reflectors.push(new Reflector({ client, type, store, selection, maxPauseMs, logger }));
    return store;
  }

  #change(name: keyof RuleSources, source: () => RuleSources): void {
    this.#changed.set(name, source);
    this.#timer ??= setTimeout(() => this.table, settleMs);
  }

  #compile(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const changed = Object.assign(
      {},
      ...[...this.#changed.values()].map((source) => source()),
    ) as RuleSources;
    this.#changed.clear();
    this.#table = recompileRules(this.#table, changed);
    for (const listener of this.#listeners) this.#tell(listener);
  }

  /** Rules are compiled for whoever asks first: what goes wrong elsewhere is none of its business. */
  #tell(listener: (table: RuleTable) => void): void {
    try {
      listener(this.#table);
    } catch (error) {
      this.#options.logger.error({ error }, 'Listener of the rules failed');
    }
  }
}

/** False for a status, labels or finalizers: the lines of an ImageMap are changed by a new generation, and by its deletion. */
export function changesMap({ type, object, previous }: StoreChange): boolean {
  if (type !== 'MODIFIED' || previous === undefined) return true;
  const [now, before] = [object.metadata, previous.metadata];
  return (
    now.generation === undefined ||
    now.uid !== before.uid ||
    now.generation !== before.generation ||
    now.deletionTimestamp !== before.deletionTimestamp
  );
}

function mapSource(map: string | undefined): RuleSources {
  return { imageswap: map === undefined ? undefined : { map } };
}

function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
