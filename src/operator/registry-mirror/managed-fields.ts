/** Reads `metadata.managedFields`: which fields a manager owns, and which of those an object does not want. Pure. */

import { isRecord } from '../../api/is-record.ts';
import { fieldManager } from '../../api/names.ts';
import { type Fields, itemWithKey } from './list-items.ts';

/** The API server's tree: `f:name` a field, `k:{...}` an item by key, `v:...` a value of a set, `i:n` by position, `.` itself. */
export type FieldTree = Readonly<Record<string, unknown>>;

/** An entry of `metadata.managedFields`, as far as it is read here. */
export interface ManagedEntry {
  readonly manager: string;
  readonly operation: string;
  readonly subresource?: string;
  readonly apiVersion?: string;
  readonly fieldsType?: string;
  readonly fieldsV1?: FieldTree;
  readonly time?: string;
}

/** Written by the API server itself into what is applied; belongs to nobody's wishes. */
const ignored = new Set(['f:managedFields', 'f:generation', 'f:creationTimestamp']);

/** All entries of an object. */
export function managedEntries(object: Fields): readonly ManagedEntry[] {
  const metadata = object['metadata'] as { managedFields?: ManagedEntry[] } | undefined;
  return metadata?.managedFields ?? [];
}

/** What `manager` owns by apply, or undefined when it never applied the object. */
export function ownedFields(
  object: Fields,
  { manager, subresource }: { manager: string; subresource?: string },
): FieldTree | undefined {
  const entry = managedEntries(object).find(
    (candidate) =>
      candidate.manager === manager &&
      candidate.operation === 'Apply' &&
      (candidate.subresource || undefined) === subresource,
  );
  return entry?.fieldsV1;
}

/** True when this operator has applied the object before; false for what an earlier operator or a person made. */
export function wasAppliedByUs(object: Fields): boolean {
  return ownedFields(object, { manager: fieldManager }) !== undefined;
}

/** Returns the first path in `tree` that `desired` does not have, or undefined. What is desired as `null` is owned, too, and its absence wanted. */
export function unwantedPath(tree: FieldTree, desired: unknown): readonly string[] | undefined {
  for (const [key, below] of Object.entries(tree)) {
    if (key === '.' || ignored.has(key)) continue;
    const value = step(key, desired);
    if (value === undefined) return [nameOf(key)];
    const deeper = isRecord(below) ? unwantedPath(below, value) : undefined;
    if (deeper !== undefined) return [nameOf(key), ...deeper];
  }
  return undefined;
}

function step(key: string, desired: unknown): unknown {
  const rest = key.slice(2);
  switch (key.slice(0, 2)) {
    case 'f:':
      return isRecord(desired) ? desired[rest] : undefined;
    case 'k:':
      return Array.isArray(desired) ? itemWithKey(JSON.parse(rest) as Fields, desired) : undefined;
    case 'v:':
      return Array.isArray(desired) && desired.includes(JSON.parse(rest)) ? true : undefined;
    case 'i:':
      return Array.isArray(desired) ? desired[Number(rest)] : undefined;
    default:
      // A kind of step this program does not know decides nothing.
      return true;
  }
}

function nameOf(key: string): string {
  return key.slice(2);
}
