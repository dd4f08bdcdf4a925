/** Reads a RegistryMirror as it lies in the API server; it may be older than the schema. Pure. */
import { storedFinding } from '../../api/conditions.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import { masqueradeOf } from '../../api/upstream.ts';
import { fieldPath, validateRegistryMirror } from '../../api/validate.ts';
import type { Finding } from './finding.ts';
import { givenTo, type StatusInputs, type StoredMirror } from './status.ts';

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

/** What the status says of a mirror that was not brought about, as far as it can be read. */
export function standingStatus(
  stored: StoredMirror,
): Pick<StatusInputs, 'upstreamUrl' | 'masquerade' | 'clusterIPs' | 'nodePort'> {
  const read = readStored(stored);
  if ('faults' in read) return givenTo(stored);
  const { mirror } = read;
  return { ...givenTo(stored), upstreamUrl: mirror.spec.upstreamUrl, masquerade: masqueradeOf(mirror) };
}

/** What only a pass that ends can find anew. */
const kept = ['CredentialsValid', 'CertificateValid'] as const;

/** What earlier passes found that this one did not look at. */
export function keptFindings({ status }: StoredMirror): readonly Finding[] {
  return kept.flatMap((type) => storedFinding(status?.conditions, type) ?? []);
}
