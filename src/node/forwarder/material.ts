/** The authorities, certificate and key of a mirror, as files that others replace. */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { errorMessage } from '../../observe/error-message.ts';
import type { ForwardedMirror } from './config.ts';

/** What the files hold: usable for a handshake, or why not. */
export interface Material {
  readonly fingerprint: string;
  readonly secureContext?: SecureContext;
  readonly fault?: string;
}

/** A file that was written so long ago that whoever writes it next gives it another time, however coarse those of its file system are. */
const restingMs = 10_000;

/** Follows the files of one mirror. What changed counts when it is the same at two looks, so that no half-written pair is taken. */
export class MaterialFiles {
  readonly #files: readonly string[];
  readonly #now: () => number;
  #current: Material | undefined;
  #seen = '';
  /** Of the files as they were read last; undefined while they may change without another one. */
  #stamp: string | undefined;

  constructor({ caFile, clientCertificate }: ForwardedMirror, now: () => number = Date.now) {
    this.#now = now;
    this.#files = [
      caFile,
      ...(clientCertificate ? [clientCertificate.certFile, clientCertificate.keyFile] : []),
    ];
  }

  /** What is in force; undefined before the first look. */
  get current(): Material | undefined {
    return this.#current;
  }

  /** Looks at the files once, and reads them unless they are as before. Returns true when something else is in force now. Never rejects. */
  async look(): Promise<boolean> {
    const stamp = stampOf(this.#files, this.#now());
    const isKnown = this.#seen !== '' && this.#seen === this.#current?.fingerprint;
    if (isKnown && stamp !== undefined && stamp === this.#stamp) return false;
    const contents = await Promise.all(this.#files.map((file) => readFile(file).catch(describe)));
    // What could not be read may be readable at the next look.
    this.#stamp = contents.some((content) => typeof content === 'string') ? undefined : stamp;
    const fingerprint = fingerprintOf(contents);
    const settled = this.#current === undefined || fingerprint === this.#seen;
    this.#seen = fingerprint;
    if (!settled || fingerprint === this.#current?.fingerprint) return false;
    this.#current = { fingerprint, ...usable(contents) };
    return true;
  }
}

/** Which files these are and when they changed; undefined where one cannot be seen or changed a moment ago. */
function stampOf(files: readonly string[], now: number): string | undefined {
  try {
    const stats = files.map((file) => statSync(file, { bigint: true }));
    if (stats.some(({ ctimeMs }) => Number(ctimeMs) > now - restingMs)) return undefined;
    return stats.map(({ dev, ino, size, ctimeNs }) => [dev, ino, size, ctimeNs].join(' ')).join();
  } catch {
    return undefined;
  }
}

function describe(error: unknown): string {
  return errorMessage(error);
}

function fingerprintOf(contents: readonly (Buffer | string)[]): string {
  const hash = createHash('sha256');
  for (const content of contents) hash.update(`${content.length} `).update(content);
  return hash.digest('hex');
}

function usable(contents: readonly (Buffer | string)[]): Pick<Material, 'secureContext' | 'fault'> {
  const unread = contents.find((content) => typeof content === 'string');
  if (unread !== undefined) return { fault: unread };
  const [ca, cert, key] = contents as Buffer[];
  try {
    if (ca === undefined) throw new TypeError('no authorities');
    // Node takes a text without any certificate for an empty list; nginx refuses it.
    new X509Certificate(ca);
    if (cert === undefined || key === undefined)
      return { secureContext: createSecureContext({ ca, minVersion: 'TLSv1.2' }) };
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
      throw new TypeError("the key is not the certificate's");
    return { secureContext: createSecureContext({ ca, cert, key, minVersion: 'TLSv1.2' }) };
  } catch (error) {
    return { fault: errorMessage(error) };
  }
}
