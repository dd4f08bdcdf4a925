/** Milliseconds on a clock that nobody sets: for how long something has lasted or is to last. For moments that others are told there is `Date.now`. */
export function elapsedMs(): number {
  return performance.now();
}
