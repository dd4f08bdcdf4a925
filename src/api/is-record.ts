/** Whether a value of a parsed document has fields. Pure; anybody may import it. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
