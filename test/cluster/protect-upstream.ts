/** Puts a registry of the cluster's internet behind a token server, as public ones are. */
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { registryAuth } from '../support/token-server.ts';
import type { Internet } from './internet.ts';
import type { Upstream } from './upstream.ts';

export interface Protection {
  /** What the cluster calls the token server; the internet's DNS has to be told it. */
  readonly name: string;
  /** Of the internet's range. */
  readonly address: string;
  /** Who may read everything. */
  readonly username: string;
  readonly password: string;
  /** What anybody may read: repositories by their first segment. */
  readonly publicPrefix: string;
}

const port = 443;

/** From then on the registry asks for a token; `push` is not possible any more. */
export async function protectUpstream(
  internet: Internet,
  upstream: Upstream,
  { name, address, ...who }: Protection,
): Promise<void> {
  const { authority } = upstream;
  const options = JSON.stringify({ authority, ...who, at: { name, address, port } });
  const program = join(import.meta.dirname, 'token-server-program.ts');
  const daemon = `tokens-${upstream.name}`;
  await internet.place.startDaemon(daemon, { command: [process.execPath, program, options] });
  await eventually(() => {
    if (!internet.place.log(daemon).includes('https://')) throw new Error(internet.place.log(daemon, 2000));
  });
  await upstream.protect(registryAuth(`https://${name}:${port}/auth`, authority));
}
