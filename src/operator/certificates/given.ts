/** A certificate that is not ours: the user's (`DOCKER_CERTIFICATE_SECRET`) or cert-manager's. Judged, never written. Pure. */
import { covers, inspectCertificate } from '../../cache/tls/certificate.ts';
import type { KubeObject } from '../../kube/object.ts';
import { keyMatches } from './key-pair.ts';
import { secretText } from './secret-text.ts';

/** What is known of a given certificate. */
export type GivenCertificate =
  | { readonly state: 'missing' | 'unusable'; readonly secret: string; readonly why: string }
  | {
      readonly state: 'usable';
      readonly secret: string;
      /** Those of the mirror's names that it serves. */
      readonly names: readonly string[];
      readonly notAfter: Date;
    };

/** Judges the Secret named `secret` for a mirror of these names. */
export function judgeGiven(
  secret: string,
  object: KubeObject | undefined,
  names: readonly string[],
  now: Date,
): GivenCertificate {
  if (object === undefined) return { state: 'missing', secret, why: 'the Secret does not exist' };
  const certificate = secretText(object, 'tls.crt');
  const key = secretText(object, 'tls.key');
  if (certificate === undefined) return unusable(secret, 'it has no tls.crt');
  if (key === undefined) return unusable(secret, 'it has no tls.key');
  try {
    const { notAfter } = inspectCertificate(certificate);
    if (!keyMatches(certificate, key)) return unusable(secret, 'tls.key is not the key of tls.crt');
    if (notAfter <= now) return unusable(secret, `it expired on ${day(notAfter)}`);
    const served = names.filter((name) => !name.startsWith('*') && covers(certificate, name));
    return { state: 'usable', secret, names: served, notAfter };
  } catch {
    return unusable(secret, 'tls.crt holds no PEM certificate');
  }
}

/** What a node must trust to accept the given certificate; without `ca.crt` it is itself the anchor, as in the original. */
export function givenAuthority(object: KubeObject | undefined): string | undefined {
  return secretText(object, 'ca.crt') ?? secretText(object, 'tls.crt');
}

/** `2027-03-31`. */
export function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function unusable(secret: string, why: string): GivenCertificate {
  return { state: 'unusable', secret, why };
}
