/** The control plane's own certificate authority and keys: made anew for each one, never written outside its folder. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const hour = 60 * 60 * 1000;
// Longer than anybody keeps a cluster of this repository.
const lifetime = 30 * 24 * hour;

/** A certificate and its private key (PKCS #8), both PEM. */
export interface KeyPairPem {
  certificate: string;
  key: string;
}

/** Signs the API server's certificate and those of users. */
export interface Authority {
  /** The authority's certificate, PEM. */
  certificate: string;
  /** Its private key, PKCS #8 and PEM, with which `openAuthority` has it again. */
  key: string;
  /** Issues a server certificate for host names and addresses. */
  forServer(names: string[], addresses: string[]): Promise<KeyPairPem>;
  /** Issues a client certificate: Kubernetes reads the user from the common name, the groups from the organizations. */
  forUser(user: string, groups: string[]): Promise<KeyPairPem>;
}

/** Makes a new authority, valid for thirty days. */
export async function createAuthority(): Promise<Authority> {
  const keys = await generateKeys();
  const issuer = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=test-control-plane',
    keys,
    ...validity(),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return authorityOf({ issuer, signingKey: keys.privateKey }, await privatePem(keys));
}

/** Returns an authority that was made before. */
export async function openAuthority({ certificate, key }: KeyPairPem): Promise<Authority> {
  const [encoded] = PemConverter.decode(key);
  if (encoded === undefined) throw new Error('The key of the authority is not PEM');
  const signingKey = await webcrypto.subtle.importKey('pkcs8', encoded, algorithm, true, ['sign']);
  return authorityOf({ issuer: new X509Certificate(certificate), signingKey }, key);
}

function authorityOf(by: Issuer, key: string): Authority {
  const issue = (subject: NameParts, extensions: Extension[]) => issueCertificate(by, subject, extensions);
  return {
    certificate: by.issuer.toString('pem'),
    key,
    forServer: (names, addresses) => issue([{ CN: ['kube-apiserver'] }], serverExtensions(names, addresses)),
    forUser: (user, groups) => issue(userName(user, groups), [clientUsage()]),
  };
}

/** Makes the key pair that signs service account tokens; `key` is PKCS #8 and `publicKey` SPKI, both PEM. */
export async function createTokenKeys(): Promise<{ key: string; publicKey: string }> {
  const keys = await generateKeys();
  const publicKey = await webcrypto.subtle.exportKey('spki', keys.publicKey);
  return { key: await privatePem(keys), publicKey: PemConverter.encode(publicKey, 'PUBLIC KEY') };
}

type NameParts = Array<Record<string, string[]>>;
type KeyPair = Awaited<ReturnType<typeof generateKeys>>;

interface Issuer {
  issuer: X509Certificate;
  signingKey: KeyPair['privateKey'];
}

async function issueCertificate(
  by: Issuer,
  subject: NameParts,
  extensions: Extension[],
): Promise<KeyPairPem> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.create({
    subject,
    issuer: by.issuer.subject,
    publicKey: keys.publicKey,
    signingKey: by.signingKey,
    ...validity(),
    extensions: [
      ...extensions,
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      await AuthorityKeyIdentifierExtension.create(by.issuer.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await privatePem(keys) };
}

function userName(user: string, groups: string[]): NameParts {
  return [...groups.map((group) => ({ O: [group] })), { CN: [user] }];
}

function serverExtensions(names: string[], addresses: string[]): Extension[] {
  return [
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new SubjectAlternativeNameExtension([
      ...names.map((value) => ({ type: 'dns' as const, value })),
      ...addresses.map((value) => ({ type: 'ip' as const, value })),
    ]),
  ];
}

function clientUsage(): Extension {
  return new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]);
}

// An hour back: the clock of a virtual machine may be set while the tests run.
function validity(): { notBefore: Date; notAfter: Date; signingAlgorithm: typeof algorithm } {
  const now = Date.now();
  return { notBefore: new Date(now - hour), notAfter: new Date(now + lifetime), signingAlgorithm: algorithm };
}

async function generateKeys() {
  return await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function privatePem(keys: Pick<KeyPair, 'privateKey'>): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
}
