/**
 * The operator's own certificate authority as it lies in Secret `registry-mirror-ca`: read, judged, renewed. Pure but
 * for the key generation. A renewed authority signs nothing until nodes had time to learn it (see `leaf.ts`).
 */
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
  return { certificatePem, keyPem, previous: splitBundle(secretText(secret, 'previous.crt') ?? '') };
}

/** True when two thirds of the authority's life are over. */
export function needsRenewal(authority: KeyPair, now: Date): boolean {
  return renewalTime(authority.certificatePem) <= now.getTime();
}

/** When two thirds of a certificate's life are over, in milliseconds since the epoch. */
export function renewalTime(certificatePem: string): number {
  const { notBefore, notAfter } = inspectCertificate(certificatePem);
  return notBefore.getTime() + (2 / 3) * (notAfter.getTime() - notBefore.getTime());
}

/** Makes the Secret of a new authority; `previous` stay trusted beside it until they expire. */
export async function newAuthoritySecret(
  namespace: string,
  previous: readonly string[],
  now: Date,
): Promise<KubeObject> {
  const pair = await createAuthority({ commonName: 'registry-mirror-operator', days: validDays, now });
  const files = {
    'tls.crt': pair.certificatePem,
    'tls.key': pair.keyPem,
    'previous.crt': unexpired(previous, now).join(''),
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

function isAuthority(certificatePem: string, keyPem: string): boolean {
  try {
    return inspectCertificate(certificatePem).isAuthority && keyMatches(certificatePem, keyPem);
  } catch {
    return false;
  }
}
