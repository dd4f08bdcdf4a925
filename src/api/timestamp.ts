/** A moment as the API writes it: RFC 3339 in UTC, in whole seconds. */
export function timestamp(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}
