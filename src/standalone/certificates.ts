/** The certificate a standalone serves: the user's own, or a leaf of our authority that is made anew before it is needed. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from '../cache/cache-config.ts';
import { createAuthority, issueLeaf, type KeyPair } from '../cache/tls/authority.ts';
import { covers, inspectCertificate, signedBy } from '../cache/tls/certificate.ts';
import type { Logger } from '../observe/log.ts';
import { type Folders, writeWhole } from './folders.ts';

const authorityDays = 3650;
const leafDays = 90;
const dayMs = 86_400_000;
/** A leaf gets a successor when a third of its life is left; an authority when it could not sign a whole leaf any more. */
const leafMarginMs = (leafDays / 3) * dayMs;
const authorityMarginMs = leafDays * dayMs;

/** Makes sure that our own leaf covers `names` and is good for a month; returns where it lies. */
export async function ownCertificate(
  folders: Folders,
  names: readonly string[],
  log: Logger,
  now = new Date(),
): Promise<Certificate> {
  const authority = await ownAuthority(folders, log, now);
  const { certFile, keyFile } = leafFiles(folders);
  const current = await readPair(certFile, keyFile);
  if (current === undefined || !isGood(current, authority, names, now)) {
    await writeLeaf(folders, authority, names, log, now);
  }
  return { certFile, keyFile, names: [] };
}

/**
 * Makes our own leaf anew where its time is over or is still to come; true where it did. Names change with the file alone, and an authority, which
 * clients trust, is not replaced for what a clock says at one moment.
 */
export async function renewLeaf(folders: Folders, log: Logger, now = new Date()): Promise<boolean> {
  const { certFile, keyFile } = leafFiles(folders);
  const authority = await readPair(folders.caFile, folders.caKeyFile);
  const current = await readPair(certFile, keyFile);
  if (authority === undefined || current === undefined || !lasts(authority, now)) return false;
  const { names } = inspectCertificate(current.certificatePem);
  if (isGood(current, authority, names, now)) return false;
  await writeLeaf(folders, authority, names, log, now);
  return true;
}

function leafFiles({ tlsDir }: Folders): { certFile: string; keyFile: string } {
  return { certFile: join(tlsDir, 'tls.crt'), keyFile: join(tlsDir, 'tls.key') };
}

async function writeLeaf(
  folders: Folders,
  authority: KeyPair,
  names: readonly string[],
  log: Logger,
  now: Date,
): Promise<void> {
  const { certFile, keyFile } = leafFiles(folders);
  const leaf = await issueLeaf(authority, { names, days: leafDays, now });
  await writeWhole(keyFile, leaf.keyPem);
  await writeWhole(certFile, leaf.certificatePem);
  const { notAfter } = inspectCertificate(leaf.certificatePem);
  log.info({ names, notAfter: notAfter.toISOString() }, 'Issued a certificate');
}

/** Takes the user's files; throws what is wrong with them. Names they do not cover are logged: clients of those will refuse it. */
export async function givenCertificate(
  certFile: string,
  keyFile: string,
  names: readonly string[],
  log: Logger,
): Promise<Certificate> {
  const pair = { certificatePem: await readFile(certFile, 'utf8'), keyPem: await readFile(keyFile, 'utf8') };
  if (!isReadable(() => new X509Certificate(pair.certificatePem)))
    throw new TypeError(`${certFile}: expected a certificate in PEM`);
  if (!isReadable(() => createPrivateKey(pair.keyPem)))
    throw new TypeError(`${keyFile}: expected a private key in PEM without a passphrase`);
  if (!belongTogether(pair)) throw new TypeError(`${keyFile}: expected the key of ${certFile}`);
  const missing = names.filter((name) => !covers(pair.certificatePem, name));
  if (missing.length > 0) log.warn({ certFile, missing }, 'The certificate does not cover all names');
  const { notAfter } = inspectCertificate(pair.certificatePem);
  if (notAfter.getTime() < Date.now())
    log.warn({ certFile, notAfter: notAfter.toISOString() }, 'The certificate has expired');
  return { certFile, keyFile, names: [] };
}

async function ownAuthority(folders: Folders, log: Logger, now: Date): Promise<KeyPair> {
  const { caFile, caKeyFile } = folders;
  const current = await readPair(caFile, caKeyFile);
  if (current !== undefined && lasts(current, now)) return current;
  const authority = await createAuthority({
    commonName: 'registry-mirror standalone',
    days: authorityDays,
    now,
  });
  await writeWhole(caKeyFile, authority.keyPem);
  await writeWhole(caFile, authority.certificatePem, 0o644);
  log.info({ caFile }, 'Made a certificate authority that clients must trust');
  return authority;
}

/** An authority that is still to come tells of a clock that is behind, as before it is set at a boot: what clients trust is not given up for it. */
function isGood(leaf: KeyPair, authority: KeyPair, names: readonly string[], now: Date): boolean {
  return (
    signedBy(leaf.certificatePem, authority.certificatePem) &&
    leftMs(leaf, now) > leafMarginMs &&
    (isValidYet(leaf, now) || !isValidYet(authority, now)) &&
    names.every((name) => covers(leaf.certificatePem, name))
  );
}

/** True for an authority that can sign a whole leaf. */
function lasts(authority: KeyPair, now: Date): boolean {
  return leftMs(authority, now) > authorityMarginMs;
}

function isValidYet({ certificatePem }: KeyPair, now: Date): boolean {
  return inspectCertificate(certificatePem).notBefore <= now;
}

function leftMs({ certificatePem }: KeyPair, now: Date): number {
  return inspectCertificate(certificatePem).notAfter.getTime() - now.getTime();
}

/** A pair that was written whole; a crash between its two files leaves one that does not fit. */
async function readPair(certFile: string, keyFile: string): Promise<KeyPair | undefined> {
  try {
    const pair = {
      certificatePem: await readFile(certFile, 'utf8'),
      keyPem: await readFile(keyFile, 'utf8'),
    };
    return belongTogether(pair) ? pair : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What it throws may quote the text. */
function isReadable(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

function belongTogether({ certificatePem, keyPem }: KeyPair): boolean {
  try {
    return new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}
