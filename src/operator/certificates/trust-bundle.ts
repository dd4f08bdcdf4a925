/** Bundles of PEM certificates: split, cleaned, joined. Pure. */
import { X509Certificate } from 'node:crypto';

/** Returns the certificates of a PEM text, each with its final line break; other text in between is dropped. */
export function splitBundle(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}

/** Leaves out what has expired and what is no certificate. */
export function unexpired(certificates: readonly string[], now: Date): string[] {
  return certificates.filter((pem) => {
    try {
      return new X509Certificate(pem).validToDate > now;
    } catch {
      return false;
    }
  });
}

/** What nodes trust: every certificate of the given texts once, in their order, without expired ones. */
export function trustBundle(texts: readonly (string | undefined)[], now: Date): string {
  const all = texts.flatMap((text) => splitBundle(text ?? ''));
  return unexpired([...new Set(all)], now).join('');
}
