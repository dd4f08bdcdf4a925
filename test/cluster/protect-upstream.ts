/** Puts a registry of the cluster's internet behind a token server, as public ones are. */
import { registryAuth } from '../support/token-server.ts';
import type { Internet } from './internet.ts';
import { startProgram } from './start-program.ts';
import type { Upstream } from './upstream.ts';

export interface Protection {
  /** What the cluster calls the token server; the internet's DNS has to be told it. */
  readonly name: string;
  /** Of the internet's range. */
  readonly address: string;
  /** Who may read everything. */
  readonly username: string;
  readonly password: string;
  /** See TokenServerOptions. */
  readonly passwordLifeMs?: number;
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
  await startProgram(internet.place, {
    name: `tokens-${upstream.name}`,
    file: 'token-server-program.ts',
    options: { authority, ...who, at: { name, address, port } },
    says: 'https://',
  });
  await upstream.protect(registryAuth(`https://${name}:${port}/auth`, authority));
}
