/** The certificate by which a replica is known to the others, and the authorities it knows them by; followed while they rotate. */
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { errorMessage } from '../../../observe/error-message.ts';
import type { Logger } from '../../../observe/log.ts';
import type { BrokerConfig } from '../broker-config.ts';

export type PeersConfig = NonNullable<BrokerConfig['peers']>;
export type PeerFiles = Pick<PeersConfig, 'certFile' | 'keyFile' | 'caFile'>;

export class PeerIdentity {
  readonly #log: Logger;
  #seen = '';
  #current: SecureContext | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Undefined until there were usable files once. */
  get current(): SecureContext | undefined {
    return this.#current;
  }

  /**
   * Reads the files and returns whether others are in force now. Files of which one is missing or not the other's are
   * seen in the middle of a rotation: what was read before stays. Never rejects.
   */
  async refresh({ certFile, keyFile, caFile }: PeerFiles): Promise<boolean> {
    const files = await Promise.all([certFile, keyFile, caFile].map((path) => readFile(path, 'utf8'))).catch(
      (error: unknown) => errorMessage(error),
    );
    if (JSON.stringify(files) === this.#seen) return false;
    this.#seen = JSON.stringify(files);
    try {
      if (typeof files === 'string') throw new Error(files);
      const [cert = '', key = '', ca = ''] = files;
      this.#current = createSecureContext({ cert, key, ca, minVersion: 'TLSv1.2' });
      return true;
    } catch (error) {
      this.#log.warn({ detail: errorMessage(error) }, "Replica's certificate is unusable");
      return false;
    }
  }
}
