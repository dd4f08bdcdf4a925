/**
 * Takes over objects that were written before this operator came. Server-side apply never removes another manager's
 * fields, so the containers and probes of the Python operator would stay beside ours: its entries in managedFields are
 * made ours first, and the apply that follows removes what is no longer wanted. Pure.
 */

import { isRecord } from '../../api/is-record.ts';
import { adoptedAnnotation, fieldManager } from '../../api/names.ts';
import type { Fields } from './list-items.ts';
import { type FieldTree, type ManagedEntry, managedEntries, wasAppliedByUs } from './managed-fields.ts';

/** One operation of a JSON patch (RFC 6902). */
export interface JsonPatchOperation {
  readonly op: 'test' | 'add' | 'replace' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

/** The name under which the Python client wrote everything: its entries are taken whole. */
const pythonClient = 'OpenAPI-Generator';

/** What makes an object work; labels and annotations that other writers added stay theirs. */
const essential = ['f:spec', 'f:data', 'f:type'];

/**
 * Returns the patch that makes earlier writers' fields ours, or undefined where there is nothing to take over: the
 * object was applied by us before, or nobody wrote it by update. Refused by the server if the object has changed since.
 */
export function adoptionPatch(live: Fields): readonly JsonPatchOperation[] | undefined {
  const entries = managedEntries(live);
  if (wasAppliedByUs(live)) return undefined;
  const adopted = entries.filter(isEarlierWriter).map((entry) => ({ entry, part: partToTake(entry) }));
  const taken = adopted.filter(({ part }) => Object.keys(part).length > 0);
  if (taken.length === 0) return undefined;
  const rest = entries.flatMap((entry) => {
    const part = taken.find((candidate) => candidate.entry === entry)?.part;
    return part === undefined ? [entry] : remainder(entry, part);
  });
  const ours: ManagedEntry = {
    manager: fieldManager,
    operation: 'Apply',
    apiVersion: String(live['apiVersion']),
    fieldsType: 'FieldsV1',
    fieldsV1: taken.map(({ part }) => part).reduce(union),
    ...newest(taken.map(({ entry }) => entry)),
  };
  const { resourceVersion } = live['metadata'] as { resourceVersion?: string };
  return [
    { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
    { op: 'replace', path: '/metadata/managedFields', value: [...rest, ours] },
    ...(live['kind'] === 'StatefulSet' ? [marking(live)] : []),
  ];
}

/** True when the object was, or is about to be, taken over from an earlier operator. */
export function isAdopted(live: Fields): boolean {
  const { annotations } = live['metadata'] as { annotations?: Record<string, string> };
  const marked = annotations?.[adoptedAnnotation.key] === adoptedAnnotation.value;
  return marked || adoptionPatch(live) !== undefined;
}

/** In the patch itself: with a write of its own, a crash in between would lose it. No later apply removes it. */
function marking(live: Fields): JsonPatchOperation {
  const { annotations } = live['metadata'] as { annotations?: Record<string, string> };
  const { key, value } = adoptedAnnotation;
  if (annotations === undefined) return { op: 'add', path: '/metadata/annotations', value: { [key]: value } };
  return { op: 'add', path: `/metadata/annotations/${key.replace('/', '~1')}`, value };
}

/** Kubernetes' own controllers write through subresources, or annotations that are none of ours. */
function isEarlierWriter(entry: ManagedEntry): boolean {
  return entry.operation === 'Update' && !entry.subresource && entry.fieldsV1 !== undefined;
}

function partToTake({ manager, fieldsV1 = {} }: ManagedEntry): FieldTree {
  if (manager === pythonClient) return fieldsV1;
  return Object.fromEntries(Object.entries(fieldsV1).filter(([key]) => essential.includes(key)));
}

function remainder(entry: ManagedEntry, part: FieldTree): ManagedEntry[] {
  const left = Object.entries(entry.fieldsV1 ?? {}).filter(([key]) => !(key in part));
  return left.length === 0 ? [] : [{ ...entry, fieldsV1: Object.fromEntries(left) }];
}

function newest(entries: readonly ManagedEntry[]): { time?: string } {
  const time = entries
    .map((entry) => entry.time ?? '')
    .sort()
    .at(-1);
  return time ? { time } : {};
}

function union(one: FieldTree, other: FieldTree): FieldTree {
  const merged: Record<string, unknown> = { ...one };
  for (const [key, below] of Object.entries(other)) {
    const known = merged[key];
    merged[key] = isRecord(known) && isRecord(below) ? union(known, below) : below;
  }
  return merged;
}
