import { X509Certificate } from 'node:crypto';

/** CA certificates, parsed. `pem` holds certificates and nothing else, whatever stood around them (never a key). */
export interface CaBundle {
  readonly pem: string;
  /** SHA-256 of each certificate. */
  readonly fingerprints: readonly string[];
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Takes the bytes of a PEM file; returns undefined where it holds no certificate or one that cannot be parsed. */
export function parseCaBundle(bytes: Uint8Array): CaBundle | undefined {
  const blocks = Buffer.from(bytes).toString('latin1').match(certificateBlock);
  if (blocks === null) return undefined;
  try {
    const certificates = new Map(blocks.map(parseCertificate));
    return { pem: [...certificates.values()].join(''), fingerprints: [...certificates.keys()] };
  } catch {
    return undefined;
  }
}

/** True where the bytes of a PEM file hold every certificate of `bundle`. */
export function trusts(content: Uint8Array, bundle: CaBundle): boolean {
  const present = parseCaBundle(content)?.fingerprints ?? [];
  return bundle.fingerprints.every((fingerprint) => present.includes(fingerprint));
}

function parseCertificate(pem: string): [fingerprint: string, pem: string] {
  const certificate = new X509Certificate(pem);
  return [certificate.fingerprint256, certificate.toString()];
}
