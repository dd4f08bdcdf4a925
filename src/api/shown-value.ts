/**
 * Returns a refused value as JSON, for the message that refuses it. What stands before an `@` in a text may be a user's name and password, whatever
 * comes before and between them: it is what the value was refused for.
 */
export function shownValue(value: unknown): string {
  return JSON.stringify(value, withoutUserInfo) ?? 'null';
}

function withoutUserInfo(_key: string, value: unknown): unknown {
  return typeof value === 'string'
    ? value.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1[redacted]@')
    : value;
}
