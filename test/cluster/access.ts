/** How a cluster is reached, and what signs its certificates: in the files of its control plane. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Authority, openAuthority } from '../kubernetes/certificates.ts';
import { filesIn } from '../kubernetes/flags.ts';
import { placesFolder, readState } from './cluster-state.ts';

export interface ClusterAccess {
  readonly url: string;
  readonly authority: Authority;
  readonly adminToken: string;
}

/** Reads what `writeAuthorityKey` and the control plane wrote; `folder` is the cluster's. */
export async function readAccess(folder: string): Promise<ClusterAccess> {
  const files = filesIn(controlPlaneFolder(folder));
  const read = (file: string) => readFileSync(file, 'utf8');
  const authority = await openAuthority({ certificate: read(files.ca), key: read(authorityKeyFile(folder)) });
  const [adminToken = ''] = read(files.tokens).split(',');
  return { url: `https://127.0.0.1:${readState(folder)?.port}`, authority, adminToken };
}

/** The key of the authority, with which certificates of later nodes are signed. */
export function writeAuthorityKey(folder: string, { key }: Authority): void {
  writeFileSync(authorityKeyFile(folder), key, { mode: 0o600 });
}

export function controlPlaneFolder(folder: string): string {
  return join(placesFolder(folder), 'control-plane/files');
}

function authorityKeyFile(folder: string): string {
  return join(controlPlaneFolder(folder), 'ca.key');
}
