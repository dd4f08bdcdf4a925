/** What a certificate says and which names it serves, as a TLS client sees it (RFC 9525: the subject does not count). Pure. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Usage } from './authority.ts';

/** RFC 5280 section 4.2.1.12. */
const usageOf: Readonly<Record<string, Usage>> = {
  '1.3.6.1.5.5.7.3.1': 'serverAuth',
  '1.3.6.1.5.5.7.3.2': 'clientAuth',
};

/** The facts of one certificate that decide whether and how long it can be used. */
export interface CertificateFacts {
  /** DNS names (with wildcards) and IP addresses of the subject alternative name. */
  readonly names: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly issuer: string;
  readonly subject: string;
  /** The subject's common name; empty where there is none. */
  readonly commonName: string;
  /** What it may be shown for; empty: anything. */
  readonly usages: readonly Usage[];
  readonly isAuthority: boolean;
}

/** Takes PEM text, reads its first certificate; throws `TypeError` when there is none. */
export function inspectCertificate(pem: string): CertificateFacts {
  const certificate = parse(pem);
  return {
    names: alternativeNames(certificate.subjectAltName ?? ''),
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
    issuer: certificate.issuer,
    subject: certificate.subject,
    commonName: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '',
    usages: (certificate.keyUsage ?? []).flatMap((oid) => usageOf[oid] ?? []),
    isAuthority: certificate.ca,
  };
}

/** True when the first certificate of `pem` serves `name`: a host name or an IP literal, brackets allowed, no port. */
export function covers(pem: string, name: string): boolean {
  const certificate = parse(pem);
  const bare = name.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) !== 0) return certificate.checkIP(bare) !== undefined;
  return certificate.checkHost(name, { subject: 'never', partialWildcards: false }) !== undefined;
}

/** True when the first certificate of `pem` was signed by the first of `authorityPem`. Says nothing of its dates. */
export function signedBy(pem: string, authorityPem: string): boolean {
  const [certificate, authority] = [parse(pem), parse(authorityPem)];
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function parse(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new TypeError('expected a PEM certificate', { cause: error });
  }
}

/** OpenSSL's text: `DNS:a.example, IP Address:10.0.0.1`; names that need quotes can be no host names and are left out. */
function alternativeNames(text: string): string[] {
  const names = text.replace(/"(?:[^"\\]|\\.)*"/g, '').matchAll(/(?:^|, )(?:DNS|IP Address):([^,]+)/g);
  return [...names].map(([, name = '']) => (isIP(name) === 6 ? shortIpv6(name) : name));
}

function shortIpv6(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}
