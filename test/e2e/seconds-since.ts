/** Seconds that have passed since `began` (milliseconds since the epoch), to a tenth. */
export function secondsSince(began: number): string {
  return ((Date.now() - began) / 1000).toFixed(1);
}
