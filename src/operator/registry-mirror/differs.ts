/**
 * Whether applying an object would change anything, decided without asking the API server: a desired leaf has another
 * value, or our field manager owns something that is no longer desired. What others added is not looked at, but where
 * `null` is desired: that nobody sets the field. Pure.
 */
import { isRecord } from '../../api/is-record.ts';
import { counterpart, type Fields, listKind } from './list-items.ts';
import { type FieldTree, ownedFields, unwantedPath } from './managed-fields.ts';
import { sameValue } from './same-value.ts';

/** Where our fields are looked up; `subresource` is `status` for a status. */
export interface Ownership {
  readonly manager: string;
  readonly subresource?: string;
}

/** Maps and structures that are one value to the API: a key somebody added is a change of ours. */
const atomicMaps = new Set(['selector', 'matchLabels', 'nodeSelector']);
/** Maps from names to texts that are the user's: there an empty text is a value (`node-role.kubernetes.io/worker: ""`). */
const textMaps = new Set([...atomicMaps, 'labels', 'annotations', 'data']);
/** Where the server fills nothing into the items of lists: a field that is not desired there was taken away. */
const wholeItems = new Set(['tolerations', 'affinity']);

/** Returns the first path (`spec.replicas`) at which `live` is not what `desired` wants, or undefined. */
export function difference(desired: Fields, live: Fields | undefined, owner: Ownership): string | undefined {
  if (live === undefined) return '(missing)';
  const path = findUnequal(desired, live, []);
  if (path !== undefined) return path.join('.');
  const tree: FieldTree | undefined = ownedFields(live, owner);
  return tree === undefined ? undefined : unwantedPath(tree, desired)?.join('.');
}

/** True when applying `desired` would change `live`. */
export function differs(desired: Fields, live: Fields | undefined, owner: Ownership): boolean {
  return difference(desired, live, owner) !== undefined;
}

type Path = readonly string[];

function findUnequal(desired: unknown, live: unknown, path: Path): Path | undefined {
  if (desired === undefined || (live === undefined && isDropped(desired, path))) return undefined;
  if (desired === null) return live === undefined || live === null ? undefined : path;
  if (Array.isArray(desired)) return findUnequalItem(desired, live, path);
  if (isRecord(desired)) return findUnequalField(desired, live, path);
  return sameValue(desired, live, path) ? undefined : path;
}

function findUnequalField(desired: Fields, live: unknown, path: Path): Path | undefined {
  if (!isRecord(live)) return path;
  const names = Object.keys(desired);
  if (atomicMaps.has(path.at(-1) ?? '') || isInWholeItem(path)) {
    const added = Object.keys(live).find((name) => !names.includes(name));
    if (added !== undefined) return [...path, added];
  }
  return first(names, (name) => findUnequal(desired[name], live[name], [...path, name]));
}

function findUnequalItem(desired: readonly unknown[], live: unknown, path: Path): Path | undefined {
  if (!Array.isArray(live)) return path;
  const field = path.at(-1) ?? '';
  switch (listKind(field, desired[0])) {
    case 'set':
      return desired.every((item) => live.includes(item)) ? undefined : path;
    case 'map':
      return first(desired, (item) => findUnequal(item, counterpart(field, item, live) ?? missing, path));
    case 'atomic':
      if (desired.length !== live.length) return path;
      return first(desired, (item, at) => findUnequal(item, live[at], [...path, String(at)]));
  }
}

/** Equal to nothing that can be desired. */
const missing = Symbol('missing');

/** Where an empty structure says something: which kind of volume it is, or that everything is selected. */
const keptEmpty = new Set(['emptyDir', 'labelSelector', 'namespaceSelector']);

/** The API leaves empty texts, lists and structures out. */
function isDropped(desired: unknown, path: Path): boolean {
  if (desired === '') return !textMaps.has(path.at(-2) ?? '');
  const empty = typeof desired === 'object' && desired !== null && Object.keys(desired).length === 0;
  return empty && !keptEmpty.has(path.at(-1) ?? '');
}

/** Such a list is one value, so that nobody owns a field of its items by itself. */
function isInWholeItem(path: Path): boolean {
  const from = path.findIndex((field) => wholeItems.has(field));
  return from >= 0 && path.slice(from).some((step) => /^[0-9]+$/.test(step));
}

function first<T>(items: readonly T[], find: (item: T, at: number) => Path | undefined): Path | undefined {
  for (const [at, item] of items.entries()) {
    const found = find(item, at);
    if (found !== undefined) return found;
  }
  return undefined;
}
