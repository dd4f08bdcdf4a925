/** Bytes and durations for people. Pure. */

const units = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `17 B`, `3.4 MiB`, `120 GiB`: three digits at most. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 'B';
  for (const next of units) {
    if (value < 1000) break;
    value /= 1024;
    unit = next;
  }
  return `${unit === 'B' || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${unit}`;
}

/** `4.2 s`, `61 s`, `12 min`. */
export function durationText(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return seconds < 600 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
