/** How long to wait after the n-th failure in a row; used by reflector and work queue. */

/** `baseMs` doubles with each failure up to `maxMs`; `random` returns [0, 1). */
export interface BackoffLimits {
  baseMs: number;
  maxMs: number;
  random?: () => number;
}

/** Returns milliseconds in (half, whole] of `baseMs * 2^(failures - 1)`, never above `maxMs`; 0 for no failure. */
export function backoffMs(failures: number, { baseMs, maxMs, random = Math.random }: BackoffLimits): number {
  if (failures <= 0) return 0;
  // 2^30 times any base is above any maximum; without the bound the power becomes Infinity.
  const whole = Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, 30));
  // Half of it at random, so that replicas that failed together do not come back together.
  return whole * (1 - random() / 2);
}
