/** Our own certificate authority and the leaves it signs: ECDSA P-256, PEM in and out. Used by operator and standalone. */
import 'reflect-metadata';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

/** A PEM certificate with its PKCS#8 PEM private key. */
export interface KeyPair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
const signing = { name: 'ECDSA', hash: 'SHA-256' };
/** Certificates count from five minutes ago: nodes' clocks are not quite the same. */
const backdatedMs = 5 * 60_000;
const dayMs = 86_400_000;

/**
 * Makes a certificate authority valid for `days`. Part of its key is added to the common name, so that two of the
 * same name can be in one bundle without a client trying the wrong one. It signs leaves only (path length 0).
 */
export async function createAuthority(options: {
  commonName: string;
  days: number;
  now?: Date;
}): Promise<KeyPair> {
  const keys = await generateKeys();
  const subjectKey = await x509.SubjectKeyIdentifierExtension.create(keys.publicKey);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: commonName(`${options.commonName} ${subjectKey.keyId.slice(0, 8)}`),
    ...validity(options.days, options.now),
    signingAlgorithm: signing,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      subjectKey,
    ],
  });
  return { certificatePem: pem(certificate), keyPem: await exportKey(keys.privateKey) };
}

/** What a certificate may be shown for: by a server, by a client. */
export type Usage = 'serverAuth' | 'clientAuth';

/** What a leaf is to say. */
export interface LeafRequest {
  /** DNS names, wildcards, IP literals with or without brackets; no ports. None: a client's. */
  readonly names: readonly string[];
  readonly days: number;
  readonly now?: Date;
  /** At most 64 characters. */
  readonly commonName?: string;
  readonly usages?: readonly Usage[];
}

/**
 * Issues a certificate (a server's, where nothing else is asked for), valid for `days` but never longer than the authority. Throws
 * `TypeError` on a name that can be neither DNS name nor address.
 */
export async function issueLeaf(authority: KeyPair, options: LeafRequest): Promise<KeyPair> {
  const { names, commonName: subject = 'registry-mirror', usages = ['serverAuth'] } = options;
  const issuer = new x509.X509Certificate(authority.certificatePem);
  const keys = await generateKeys();
  const { notBefore, notAfter } = validity(options.days, options.now);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: commonName(subject),
    issuer: issuer.subjectName,
    notBefore,
    notAfter: new Date(Math.min(notAfter.getTime(), issuer.notAfter.getTime())),
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.keyPem),
    signingAlgorithm: signing,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages.map((usage) => x509.ExtendedKeyUsage[usage])),
      ...(names.length > 0
        ? [new x509.SubjectAlternativeNameExtension([...new Set(names)].map(alternativeName))]
        : []),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: pem(certificate), keyPem: await exportKey(keys.privateKey) };
}

function alternativeName(name: string): { type: 'dns' | 'ip'; value: string } {
  const bare = name.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) !== 0) return { type: 'ip', value: bare };
  if (!/^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i.test(name)) {
    throw new TypeError(`expected a DNS name or an IP address, got ${JSON.stringify(name)}`);
  }
  return { type: 'dns', value: name.toLowerCase() };
}

function validity(days: number, now = new Date()): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: new Date(now.getTime() - backdatedMs),
    notAfter: new Date(now.getTime() + days * dayMs),
  };
}

/** 16 random bytes; the first bit is clear because a serial is positive, the second set so that it has full length. */
function randomSerial(): string {
  const bytes = crypto.getRandomValues(Buffer.alloc(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function commonName(name: string): x509.Name {
  return new x509.Name([{ CN: [name] }]);
}

function generateKeys() {
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

function importKey(keyPem: string) {
  return crypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(keyPem), algorithm, false, ['sign']);
}

async function exportKey(key: CryptoKey): Promise<string> {
  const der = await crypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
