/** Reads one key of a Secret. Pure. */
import type { KubeObject } from '../../kube/object.ts';

/** The decoded text under `key`; undefined when the Secret, the key or its content is missing. */
export function secretText(secret: KubeObject | undefined, key: string): string | undefined {
  const value = (secret?.['data'] as Record<string, string> | undefined)?.[key];
  const text = value === undefined ? '' : Buffer.from(value, 'base64').toString('utf8');
  return text === '' ? undefined : text;
}
