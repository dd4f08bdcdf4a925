/** Credentials read from a mounted Secret and followed while it changes. */
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage } from '../../observe/error-message.ts';
import type { Logger } from '../../observe/log.ts';
import {
  type CredentialFile,
  type CredentialFiles,
  type CredentialSource,
  type Credentials,
  credentialFiles,
  parseCredentials,
} from '../../registry/credentials.ts';

/** A Secret is at most 1 MiB; a folder that holds more is none. */
const maxBytes = 1024 * 1024;

export class CredentialFolder implements CredentialSource {
  readonly #dir: string;
  readonly #names: readonly string[];
  readonly #log: Logger;
  #seen: string | undefined;
  #credentials: Credentials | undefined;
  #fault: string | undefined;
  #reading: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  /** `names` are those of the upstream under which a docker configuration may list it. */
  constructor(options: { dir: string; names: readonly string[]; log: Logger }) {
    this.#dir = options.dir;
    this.#names = options.names;
    this.#log = options.log;
  }

  current(): Credentials | undefined {
    return this.#credentials;
  }

  /** What is wrong with the files as they lie there; undefined also where there are none. */
  fault(): string | undefined {
    return this.#fault;
  }

  /**
   * Credentials that disappear or break leave the last working ones in force; each such change is logged once. Readings
   * follow one another, or that of the older files could end last; those who wait for the next one share it.
   */
  reread(): Promise<void> {
    this.#next ??= this.#reading.then(() => {
      this.#next = undefined;
      return this.#read();
    });
    this.#reading = this.#next;
    return this.#next;
  }

  async #read(): Promise<void> {
    const files = await readFiles(this.#dir);
    const seen = JSON.stringify(files);
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#fault = undefined;
    try {
      this.#take(parseCredentials(files, this.#names));
    } catch (error) {
      this.#fault = errorMessage(error);
      this.#log.error({ detail: this.#fault, kept: this.#credentials !== undefined }, 'Credentials unusable');
    }
  }

  #take(credentials: Credentials | undefined): void {
    if (credentials === undefined) {
      this.#log.warn({ kept: this.#credentials !== undefined }, 'Credentials missing');
    } else if (JSON.stringify(credentials) !== JSON.stringify(this.#credentials)) {
      this.#credentials = credentials;
      this.#log.info({ kind: credentials.kind }, 'Credentials read');
    }
  }
}

/** Reads behind `..data`, which the kubelet swaps as a whole: never one file of the old and one of the new Secret. */
async function readFiles(dir: string): Promise<CredentialFiles> {
  const root = await realpath(join(dir, '..data')).catch(() => dir);
  const read = credentialFiles.map(async (name): Promise<[CredentialFile, string] | undefined> => {
    const text = await readFile(join(root, name), 'utf8').catch(() => undefined);
    return text === undefined || text.length > maxBytes ? undefined : [name, text];
  });
  return Object.fromEntries((await Promise.all(read)).filter((entry) => entry !== undefined));
}
