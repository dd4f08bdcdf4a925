/** Reads a RegistryMirror as it lies in the API server; it may be older than the schema. Pure. */
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import { fieldPath, validateRegistryMirror } from '../../api/validate.ts';
import type { StoredMirror } from './status.ts';

/** Returns the mirror with its defaults, or all its faults as one text. The status is not looked at: it is ours. */
export function readStored(stored: StoredMirror): { mirror: RegistryMirror } | { faults: string } {
  const { status, ...object } = stored;
  const validated = validateRegistryMirror(object);
  if ('faults' in validated) {
    const faults = validated.faults.map(({ path, message }) =>
      path.length === 0 ? message : `${fieldPath(path)}: ${message}`,
    );
    return { faults: faults.join('; ') };
  }
  return { mirror: { ...validated.mirror, ...(status && { status }) } };
}
