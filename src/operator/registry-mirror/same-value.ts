/** When two leaves of an object mean the same to the API server: quantities and durations have many spellings. Pure. */
import { quantityNanos } from '../../api/quantity.ts';

/** Below these fields a leaf is a quantity (`0.1` is `100m`); anywhere else text is compared as text. */
const quantityParents = new Set(['requests', 'limits', 'capacity']);
const quantityFields = new Set(['sizeLimit']);
const durationFields = new Set(['duration', 'renewBefore']);

const durationSeconds: Record<string, number> = { h: 3600, m: 60, s: 1 };

/** Compares two leaves found at `path` (names of fields, keys of list items left out). */
export function sameValue(desired: unknown, live: unknown, path: readonly string[]): boolean {
  if (Object.is(desired, live)) return true;
  if (isScalar(desired) && isScalar(live)) {
    const read = readerFor(path);
    const [one, other] = [read?.(desired), read?.(live)];
    return one !== undefined && one === other;
  }
  return false;
}

/** A Go duration (`17520h0m0s`) in seconds; undefined for anything else. */
function durationValue(value: unknown): number | undefined {
  const text = String(value);
  if (!/^([0-9]+[hms])+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/([0-9]+)([hms])/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (durationSeconds[unit ?? ''] ?? 0), 0);
}

function readerFor(path: readonly string[]): ((value: unknown) => bigint | number | undefined) | undefined {
  const field = path.at(-1) ?? '';
  if (quantityParents.has(path.at(-2) ?? '') || quantityFields.has(field)) return quantityNanos;
  return durationFields.has(field) ? durationValue : undefined;
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number';
}
