/** Puts a server that answers nothing but 429 in the place of a registry of the cluster's internet. */
import { makeLeaf } from '../support/certificates.ts';
import type { Internet } from './internet.ts';
import type { LimitOptions } from './limit-program.ts';
import { startProgram } from './start-program.ts';
import type { Upstream } from './upstream.ts';

export interface Limit {
  /** What was asked meanwhile, as `429 METHOD PATH AGENT`. */
  requests(): string[];
  /** The registry is back. */
  end(): Promise<void>;
}

/** Each answer asks to be left alone for so many seconds; connections to the registry are closed. */
export async function limitUpstream(
  internet: Internet,
  upstream: Upstream,
  retryAfter: number,
): Promise<Limit> {
  const { name, address, authority } = upstream;
  const { certificatePem: cert, keyPem: key } = await makeLeaf(authority, [name], `${name}-limited`);
  const options: LimitOptions = { address, port: 443, cert, key, retryAfter };
  const daemon = `limit-${name}`;
  const { place } = internet;
  await upstream.stop();
  await startProgram(place, { name: daemon, file: 'limit-program.ts', options, says: 'listening' });
  return {
    requests: () =>
      place
        .log(daemon)
        .split('\n')
        .filter((line) => line.startsWith('429 ')),
    end: async () => {
      await place.endDaemon(daemon, 'SIGKILL');
      await upstream.start();
    },
  };
}
