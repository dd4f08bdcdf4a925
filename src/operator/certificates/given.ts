/**
 * A certificate that is not ours: the user's (`DOCKER_CERTIFICATE_SECRET`) or cert-manager's. Its Secret is judged, never
 * written; what can be used of it is copied into the mirror's leaf Secret, which is all that pods mount. Pure.
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { covers, inspectCertificate } from '../../cache/tls/certificate.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { GivenFiles } from '../../resources/secret.ts';
import { keyMatches } from './key-pair.ts';
import { secretText } from './secret-text.ts';
import { splitBundle } from './trust-bundle.ts';

/** What is known of a given certificate. */
export type GivenCertificate =
  | {
      readonly state: 'missing' | 'unusable';
      readonly secret: string;
      readonly why: string;
      /** When it begins to be valid, where nothing else is wrong with it. */
      readonly validFrom?: Date;
    }
  | UsableCertificate;

export interface UsableCertificate {
  readonly state: 'usable';
  readonly secret: string;
  /** Those of the mirror's names that it serves. */
  readonly names: readonly string[];
  readonly notAfter: Date;
}

/** So much a node's clock may be behind the issuer's; and no pod has the certificate sooner. */
const skewMs = 60_000;

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
  return judgePair(secret, { certificate, key }, names, now);
}

/** Judges a certificate and its key, of the Secret or a copy of it. */
export function judgePair(
  secret: string,
  { certificate, key }: Pick<GivenFiles, 'certificate' | 'key'>,
  names: readonly string[],
  now: Date,
): GivenCertificate {
  if (!isChain(certificate)) return unusable(secret, 'tls.crt holds no PEM certificate');
  const { notBefore, notAfter } = inspectCertificate(certificate);
  if (!keyMatches(certificate, key)) return unusable(secret, 'tls.key is not the key of tls.crt');
  const refusal = tlsRefusal(certificate, key);
  if (refusal !== undefined) return unusable(secret, refusal);
  if (notAfter <= now) return unusable(secret, `it expired on ${day(notAfter)}`);
  if (notBefore.getTime() - skewMs > now.getTime()) {
    return { ...unusable(secret, `it is not valid before ${day(notBefore)}`), validFrom: notBefore };
  }
  const served = names.filter((name) => !name.startsWith('*') && covers(certificate, name));
  return { state: 'usable', secret, names: served, notAfter };
}

/** What of a usable Secret is copied. */
export function givenFiles(object: KubeObject | undefined): GivenFiles {
  return {
    certificate: secretText(object, 'tls.crt') ?? '',
    key: secretText(object, 'tls.key') ?? '',
    authority: givenAuthority(object) ?? '',
  };
}

/** The copy in a leaf Secret; undefined when something of it is missing. */
export function copiedFiles(leafSecret: KubeObject | undefined): GivenFiles | undefined {
  const certificate = secretText(leafSecret, 'given.crt');
  const key = secretText(leafSecret, 'given.key');
  const authority = secretText(leafSecret, 'given-ca.crt');
  return certificate === undefined || key === undefined || authority === undefined
    ? undefined
    : { certificate, key, authority };
}

/** What a node must trust to accept the given certificate; without `ca.crt` it is itself the anchor, as in the original. */
export function givenAuthority(object: KubeObject | undefined): string | undefined {
  return secretText(object, 'ca.crt') ?? secretText(object, 'tls.crt');
}

/** `2027-03-31`. */
export function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

/** nginx does not start when any certificate of the file is broken, not only the first. */
function isChain(pem: string): boolean {
  const blocks = splitBundle(pem);
  if (blocks.length === 0 || blocks.length !== pem.split('-----BEGIN CERTIFICATE-----').length - 1)
    return false;
  try {
    return blocks.every((block) => new X509Certificate(block).raw.length > 0);
  } catch {
    return false;
  }
}

/** nginx and we ask the same library: it refuses keys that are too short and signatures that are too weak. */
function tlsRefusal(cert: string, key: string): string | undefined {
  try {
    createSecureContext({ cert, key });
    return undefined;
  } catch (error) {
    return `TLS refuses it: ${(error as { reason?: string }).reason ?? 'it cannot be loaded'}`;
  }
}

function unusable(secret: string, why: string) {
  return { state: 'unusable', secret, why } as const;
}
