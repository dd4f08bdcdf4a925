/** The address a standalone listens on. */
import { createServer } from 'node:net';
import type { ListenAddress } from '../cache/cache-config.ts';
import { ConfigError } from '../config/problems.ts';
import { errorMessage } from '../observe/log.ts';

/** Returns the address with the port that was asked for, or a free one for 0; throws a `ConfigError` when it cannot be listened on. */
export async function pickPort(listen: string, port: number): Promise<ListenAddress> {
  const server = createServer();
  try {
    const picked = await new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, listen, () => resolve((server.address() as { port: number }).port));
    });
    await new Promise((resolve) => server.close(resolve));
    return { address: listen, port: picked };
  } catch (error) {
    throw new ConfigError([`--listen, --port: expected an address to listen on, got ${errorMessage(error)}`]);
  }
}
