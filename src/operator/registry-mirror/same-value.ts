/** When two leaves of an object mean the same to the API server: quantities and durations have many spellings. Pure. */

/** Below these fields a leaf is a quantity (`0.1` is `100m`); anywhere else text is compared as text. */
const quantityParents = new Set(['requests', 'limits', 'capacity']);
const quantityFields = new Set(['sizeLimit']);
const durationFields = new Set(['duration', 'renewBefore']);

const factors: Record<string, number> = {
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};
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

/** A quantity as a number of units; undefined for anything else. */
export function quantityValue(value: unknown): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/.exec(String(value));
  const factor = factors[match?.[2] ?? ''];
  if (match === null || factor === undefined) return undefined;
  // Thousandths are the finest unit of a quantity; rounding takes the binary fraction out of 0.1.
  return Math.round(Number(match[1]) * factor * 1000) / 1000;
}

/** A Go duration (`17520h0m0s`) in seconds; undefined for anything else. */
function durationValue(value: unknown): number | undefined {
  const text = String(value);
  if (!/^([0-9]+[hms])+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/([0-9]+)([hms])/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (durationSeconds[unit ?? ''] ?? 0), 0);
}

function readerFor(path: readonly string[]): ((value: unknown) => number | undefined) | undefined {
  const field = path.at(-1) ?? '';
  if (quantityParents.has(path.at(-2) ?? '') || quantityFields.has(field)) return quantityValue;
  return durationFields.has(field) ? durationValue : undefined;
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number';
}
