/** Which items of two lists are the same item, as server-side apply sees it: by a key, or by position. Pure. */
import { isRecord } from '../../api/is-record.ts';

/** A plain JSON object. */
export type Fields = Readonly<Record<string, unknown>>;

/** Lists the API merges by key (`x-kubernetes-list-map-keys`); every other list is one value. */
const keysOf: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  initContainers: ['name'],
  env: ['name'],
  volumes: ['name'],
  imagePullSecrets: ['name'],
  volumeMounts: ['mountPath'],
  ownerReferences: ['uid'],
  conditions: ['type'],
  webhooks: ['name'],
  matchConditions: ['name'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
};
/** Containers list ports by `containerPort`, Services by `port`; both take TCP where nothing is said. */
const portKeys = { container: ['containerPort', 'protocol'], service: ['port', 'protocol'] } as const;
const defaults: Fields = { protocol: 'TCP' };
/** Sets of scalars. */
const sets = new Set(['finalizers']);

export type ListKind = 'map' | 'set' | 'atomic';

/** How the list in field `field` is merged; `item` is any of its items. */
export function listKind(field: string, item: unknown): ListKind {
  if (sets.has(field)) return 'set';
  return listKeys(field, item) === undefined ? 'atomic' : 'map';
}

/** Returns the item of `list` (in field `field`) that `item` is matched with. */
export function counterpart(field: string, item: unknown, list: readonly unknown[]): unknown {
  const keys = listKeys(field, item);
  if (keys === undefined || !isRecord(item)) return undefined;
  return list.find(
    (other) => isRecord(other) && keys.every((key) => keyValue(other, key) === keyValue(item, key)),
  );
}

/** Returns the item whose fields have the values of `key`, the `k:{...}` of managedFields. */
export function itemWithKey(key: Fields, list: readonly unknown[]): unknown {
  return list.find(
    (item) => isRecord(item) && Object.entries(key).every(([name, value]) => keyValue(item, name) === value),
  );
}

function listKeys(field: string, item: unknown): readonly string[] | undefined {
  if (field === 'ports' && isRecord(item)) {
    return 'containerPort' in item ? portKeys.container : portKeys.service;
  }
  return keysOf[field];
}

function keyValue(item: Fields, key: string): unknown {
  return item[key] ?? defaults[key];
}
