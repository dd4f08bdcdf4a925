/** The one place that knows what may not be shown. Used by logs, events, conditions and error messages. */

const secretKeys =
  /^(authorization|proxy-authorization|cookie|set-cookie|password|passwd|token|access_token|refresh_token|secret|auth|identitytoken|tls\.key)$/i;
const userInfo = /\b([a-z][a-z0-9+.-]*:\/\/)[^/\s@]+@/gi;
const scheme = /\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+/gi;
const query =
  /([?&](?:[^=&\s]*(?:token|signature|sig|credential|secret|password|key-pair-id|policy)[^=&\s]*)=)[^&\s"']+/gi;
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;

/** Takes any text and returns it without user info in URLs, authorization values, signed query values and private keys. */
export function redact(text: string): string {
  return text
    .replace(privateKey, '[redacted]')
    .replace(userInfo, '$1[redacted]@')
    .replace(scheme, '$1 [redacted]')
    .replace(query, '$1[redacted]');
}

/** Returns a copy of a plain value whose strings are redacted and whose secret-named keys read `[redacted]`. */
export function redactValue<T>(value: T): T;
export function redactValue(value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map(redactValue);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      secretKeys.test(key) ? '[redacted]' : redactValue(inner),
    ]),
  );
}
