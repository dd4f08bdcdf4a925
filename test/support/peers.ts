/** What makes a cache one of several replicas: names, one authority, a certificate for all. */
import { join } from 'node:path';
import { ownerOf } from '../../src/cache/broker/peers/owner.ts';
import type { Peers, Replica } from '../../src/cache/cache-config.ts';
import { makeAuthority, makeLeaf, type TestAuthority } from './certificates.ts';

export const peerName = 'registry-mirror-m-peers';

/** Issues a replica's certificate; `commonName` and `serverName` for one that is none. */
export function makePeerLeaf(
  authority: TestAuthority,
  { label = 'peer', commonName = peerName, serverName = peerName } = {},
) {
  return makeLeaf(authority, [serverName], label, { commonName, usages: ['serverAuth', 'clientAuth'] });
}

/** What replicas are told of each other: a new authority below `dir`, and the replicas' certificate. */
export async function makePeers(
  dir: string,
  replicas: readonly Replica[],
): Promise<Omit<Peers, 'listen'> & { authority: TestAuthority }> {
  const authority = await makeAuthority(join(dir, 'peers'), 'peers');
  const { certFile, keyFile } = await makePeerLeaf(authority);
  const names = { commonName: peerName, serverName: peerName };
  return { replicas, ...names, certFile, keyFile, caFile: authority.file, authority };
}

/** The first of `seeds` (numbers as text) for which `make` gives an object that `owner` has. */
export function ownedBy<T extends { readonly object: string }>(
  owner: string,
  replicas: readonly { readonly name: string }[],
  make: (seed: string) => T,
): T {
  for (let seed = 0; ; seed++) {
    const made = make(String(seed));
    if (ownerOf(made.object, replicas)?.name === owner) return made;
  }
}
