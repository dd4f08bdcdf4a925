/** Reads a RegistryMirror as it lies in the API server; it may be older than the schema. Pure. */
import { storedFinding } from '../../api/conditions.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import { masqueradeOf } from '../../api/upstream.ts';
import { fieldPath, validateRegistryMirror } from '../../api/validate.ts';
import type { Report } from './report.ts';
import { givenTo, type StoredMirror } from './status.ts';
import { wiringOf } from './wiring.ts';

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
export function standingStatus(stored: StoredMirror): Report['status'] {
  return statusOf(stored, readStored(stored));
}

/** What only a pass that ends can find anew. */
const kept = ['CredentialsValid', 'CertificateValid'] as const;

/** What is told of a mirror of which a pass was refused or failed: what earlier passes found stays. */
export function standingReport(
  stored: StoredMirror,
  settings: Pick<OperatorSettings, 'addressingScheme'>,
): Pick<Report, 'status' | 'findings' | 'wiring'> {
  const read = readStored(stored);
  return {
    status: statusOf(stored, read),
    findings: kept.flatMap((type) => storedFinding(stored.status?.conditions, type) ?? []),
    ...('mirror' in read && { wiring: wiringOf(read.mirror, settings) }),
  };
}

function statusOf(stored: StoredMirror, read: ReturnType<typeof readStored>): Report['status'] {
  if ('faults' in read) return givenTo(stored);
  const { mirror } = read;
  return { ...givenTo(stored), upstreamUrl: mirror.spec.upstreamUrl, masquerade: masqueradeOf(mirror) };
}
