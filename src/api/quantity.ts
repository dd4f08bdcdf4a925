/** Kubernetes quantities (`20Gi`, `500m`, `1e3`) as exact numbers. Pure; anybody may import it. */

const decimal = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const binary = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

const grammar = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i))?$/;

/** Whole nanounits, the finest that Kubernetes keeps (rounded up, as it does); undefined when `value` is no quantity. */
export function quantityNanos(value: unknown): bigint | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const match = grammar.exec(String(value));
  const [, sign, whole = '', fraction = '', exponent, suffix = ''] = match ?? [];
  if (!match || whole + fraction === '') return undefined;
  const [factor, power] = scale(suffix, exponent);
  // value = digits * factor * 10^(power - fraction digits); 9 more digits make nanounits.
  const digits = BigInt(whole + fraction) * factor;
  const shift = power + 9 - fraction.length;
  const nanos = shift >= 0 ? digits * 10n ** BigInt(shift) : dividedUp(digits, 10n ** BigInt(-shift));
  return sign === '-' ? -nanos : nanos;
}

/** Whole bytes of a storage quantity, rounded down; throws `TypeError` when `value` is no quantity. */
export function quantityBytes(value: unknown): number {
  const nanos = quantityNanos(value);
  if (nanos === undefined)
    throw new TypeError(`expected a quantity such as 20Gi, got ${JSON.stringify(value)}`);
  return Number(nanos / 1_000_000_000n);
}

/** A factor and a power of ten for a suffix or an exponent. */
function scale(suffix: string, exponent: string | undefined): [bigint, number] {
  if (exponent !== undefined) return [1n, Number(exponent)];
  if (suffix.endsWith('i')) return [1024n ** BigInt(binary.indexOf(suffix)), 0];
  return [1n, 3 * (decimal.indexOf(suffix) - decimal.indexOf(''))];
}

function dividedUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}
