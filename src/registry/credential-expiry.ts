/** When credentials stop working, where they themselves say so. Pure. */
import type { Credentials } from './credentials.ts';

/**
 * Returns ms since 1970; undefined where the secret says nothing: a password, an opaque token. Read, not verified: a JWT's `exp`
 * (RFC 7519 section 4.1.4), and the `expiration` of the passwords that Amazon ECR gives out for 12 hours, JSON in base64. Both in seconds.
 */
export function credentialExpiry(credentials: Credentials): number | undefined {
  const secret = credentials.kind === 'basic' ? credentials.password : credentials.token;
  const [, payload, ...signature] = secret.split('.');
  const seconds =
    payload !== undefined && signature.length === 1
      ? field(payload, 'base64url', 'exp')
      : field(secret, 'base64', 'expiration');
  return seconds === undefined ? undefined : seconds * 1000;
}

/** The end of the year 9999: ISO 8601 has no later one without an agreement, and a report that holds one is none. Seconds. */
const latest = 253_402_300_799;

function field(text: string, encoding: 'base64' | 'base64url', name: string): number | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, encoding).toString('utf8'));
    const found = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
    return typeof found === 'number' && found > 0 && found <= latest ? found : undefined;
  } catch {
    return undefined;
  }
}
