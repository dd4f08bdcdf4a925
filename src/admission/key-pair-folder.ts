/** Follows the folder of a certificate and its key, which may be a mounted Secret: looked at every second, because links are exchanged under it. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { errorMessage } from '../observe/error-message.ts';
import type { Logger } from '../observe/log.ts';

/** PEM; the key belongs to the first certificate. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
  readonly notAfter: Date;
}

export interface KeyPairFolderOptions {
  readonly folder: string;
  /** Told each new pair. */
  readonly changed: (pair: KeyPair) => void;
  readonly logger: Logger;
  readonly everyMs?: number;
}

/** Of kubernetes.io/tls Secrets and cert-manager, imageswap, and gilly; the first one that is there counts. */
const fileNames = [
  ['tls.crt', 'tls.key'],
  ['cert.pem', 'key.pem'],
  ['gilly.pem', 'gilly.key'],
] as const;

export class KeyPairFolder {
  readonly #options: KeyPairFolderOptions;
  #pair: KeyPair | undefined;
  /** What was wrong, and how many looks in a row. */
  #fault = { text: '', looks: 0 };

  constructor(options: KeyPairFolderOptions) {
    this.#options = options;
  }

  /** The pair in force. A missing or broken one does not take its place. */
  get pair(): KeyPair | undefined {
    return this.#pair;
  }

  /** Follows the folder until `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#look();
      await delay(this.#options.everyMs ?? 1_000, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { folder, changed, logger } = this.#options;
    try {
      const pair = await readKeyPair(folder);
      this.#fault = { text: '', looks: 0 };
      if (pair.cert === this.#pair?.cert && pair.key === this.#pair.key) return;
      changed(pair);
      this.#pair = pair;
      logger.info({ folder, notAfter: pair.notAfter.toISOString() }, 'Loaded the certificate');
    } catch (error) {
      const text = errorMessage(error);
      this.#fault = { text, looks: text === this.#fault.text ? this.#fault.looks + 1 : 1 };
      // The first look may have come between two files that were being exchanged.
      if (this.#fault.looks === 2) logger.warn({ folder, fault: text }, 'The certificate cannot be used');
    }
  }
}

/** Reads the pair of a folder. Throws where there is none, or key and certificate do not belong together; says nothing of what is in the files. */
export async function readKeyPair(folder: string): Promise<KeyPair> {
  for (const [certFile, keyFile] of fileNames) {
    const [cert, key] = await Promise.all([certFile, keyFile].map((name) => readIfThere(join(folder, name))));
    if (cert !== undefined && key !== undefined) return pairOf(cert, key, `${certFile} and ${keyFile}`);
  }
  throw new Error(
    `expected ${fileNames.map((names) => names.join(' and ')).join(', or ')}, found none of these`,
  );
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function pairOf(cert: string, key: string, names: string): KeyPair {
  let certificate: X509Certificate;
  let belongs: boolean;
  try {
    certificate = new X509Certificate(cert);
    belongs = certificate.checkPrivateKey(createPrivateKey(key));
    // Reads the whole chain.
    if (belongs) createSecureContext({ cert, key });
  } catch {
    throw new Error(`${names}: expected a certificate and its private key as PEM`);
  }
  if (!belongs) throw new Error(`${names}: the key does not belong to the certificate`);
  return { cert, key, notAfter: new Date(certificate.validTo) };
}
