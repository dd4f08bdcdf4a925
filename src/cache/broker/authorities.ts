/** The certificate authorities an upstream is verified against: the system's and the mirror's own bundles. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { getCACertificates } from 'node:tls';
import type { Logger } from '../../observe/log.ts';

const block = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** Returns the text of the bundles; one that is missing is empty. */
export async function readBundles(files: readonly string[]): Promise<string> {
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  return texts.join('\n');
}

/** Whether there is a certificate in the bundles that can be used. */
export function holdsAuthorities(bundles: string): boolean {
  return (bundles.match(block) ?? []).some(isCertificate);
}

/** Takes bundles and returns the PEM certificates to trust. What is no certificate is left out and logged. */
export function trustedAuthorities(bundles: string, log: Logger): string[] {
  const given = bundles.match(block) ?? [];
  const usable = given.filter(isCertificate);
  if (usable.length < given.length)
    log.warn({ unusable: given.length - usable.length }, 'CA bundle has faults');
  return [...systemAuthorities(), ...usable];
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

let system: readonly string[] | undefined;

/** Debian's store where there is one, else Node's copy of Mozilla's; read once a process. */
function systemAuthorities(): readonly string[] {
  if (system !== undefined) return system;
  const installed = getCACertificates('system');
  const base = installed.length > 0 ? installed : getCACertificates('bundled');
  system = [...new Set([...base, ...getCACertificates('extra')])];
  return system;
}
