/**
 * The operator's own certificate authority as it lies in Secret `registry-mirror-ca`: read, judged, renewed. Pure but
 * for the key generation. For each mirror a renewed authority signs when its agents know it (see
 * `registry-mirror/leaf-inputs.ts`); until then the former one does.
 */
import { X509Certificate } from 'node:crypto';
import { caSecretName, selectorLabels } from '../../api/names.ts';
import { createAuthority, type KeyPair } from '../../cache/tls/authority.ts';
import { inspectCertificate } from '../../cache/tls/certificate.ts';
import type { KubeObject } from '../../kube/object.ts';
import { TerminalError } from '../../observe/errors.ts';
import { keyMatches } from './key-pair.ts';
import { secretText } from './secret-text.ts';
import { splitBundle, unexpired } from './trust-bundle.ts';

/** What the Secret holds. */
export interface Authority extends KeyPair {
  /** Authorities whose leaves may still be served somewhere; PEM certificates. */
  readonly previous: readonly string[];
  /** The one before, with its key: it signs for mirrors whose agents do not know this one yet. */
  readonly former?: KeyPair;
}

/** Ten years; renewed when two thirds are over. */
const validDays = 3650;

/** Reads the Secret; throws `TerminalError` when it is not what this operator writes: it is never overwritten then. */
export function readAuthority(secret: KubeObject): Authority {
  const certificatePem = secretText(secret, 'tls.crt');
  const keyPem = secretText(secret, 'tls.key');
  if (certificatePem === undefined || keyPem === undefined || !isAuthority(certificatePem, keyPem)) {
    throw new TerminalError(
      'AuthorityUnreadable',
      `Secret ${secret.metadata.namespace}/${caSecretName} holds no certificate authority with its key in tls.crt and tls.key; it is not overwritten: repair or delete it`,
    );
  }
  const previous = splitBundle(secretText(secret, 'previous.crt') ?? '');
  const former = formerPair(previous, secretText(secret, 'previous.key'));
  return { certificatePem, keyPem, previous, ...(former && { former }) };
}

/** Tells authorities apart: 16 hexadecimal digits of the certificate's SHA-256. */
export function authorityMark({ certificatePem }: KeyPair): string {
  const { fingerprint256 } = new X509Certificate(certificatePem);
  return fingerprint256.replaceAll(':', '').slice(0, 16).toLowerCase();
}

/** True when two thirds of the authority's life are over, or it was made before the clock was set back. */
export function needsRenewal(authority: KeyPair, now: Date): boolean {
  return isEarly(authority.certificatePem, now) || renewalTime(authority.certificatePem) <= now.getTime();
}

/** True for a certificate that is not valid yet. Ours count from a while ago: the clock was set back after it was made. */
export function isEarly(certificatePem: string, now: Date): boolean {
  return inspectCertificate(certificatePem).notBefore > now;
}

/** When two thirds of a certificate's life are over, in milliseconds since the epoch. */
export function renewalTime(certificatePem: string): number {
  const { notBefore, notAfter } = inspectCertificate(certificatePem);
  return notBefore.getTime() + (2 / 3) * (notAfter.getTime() - notBefore.getTime());
}

/** Makes the Secret of a new authority; `previous` stay trusted beside it while leaves signed by them are served. */
export async function newAuthoritySecret(
  namespace: string,
  previous: readonly string[],
  now: Date,
  former?: KeyPair,
): Promise<KubeObject> {
  const pair = await createAuthority({ commonName: 'registry-mirror-operator', days: validDays, now });
  const files = {
    'tls.crt': pair.certificatePem,
    'tls.key': pair.keyPem,
    'previous.crt': unexpired(previous, now).join(''),
    ...(former && { 'previous.key': former.keyPem }),
  };
  const data = Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: caSecretName, namespace, labels: { app: selectorLabels('').app } },
    type: 'Opaque',
    data: Object.fromEntries(data),
  };
}

function formerPair(previous: readonly string[], keyPem: string | undefined): KeyPair | undefined {
  if (keyPem === undefined) return undefined;
  const certificatePem = previous.find((candidate) => keyMatches(candidate, keyPem));
  return certificatePem === undefined ? undefined : { certificatePem, keyPem };
}

function isAuthority(certificatePem: string, keyPem: string): boolean {
  try {
    return inspectCertificate(certificatePem).isAuthority && keyMatches(certificatePem, keyPem);
  } catch {
    return false;
  }
}
