/** Certificates for tests, made by the product's own authority and written where daemons want them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAuthority, issueLeaf, type KeyPair, type LeafRequest } from '../../src/cache/tls/authority.ts';

/** A certificate authority on disk; `file` is what clients are told to trust. */
export interface TestAuthority extends KeyPair {
  readonly file: string;
  readonly dir: string;
}

/** Makes an authority and writes `dir/ca.crt`. */
export async function makeAuthority(dir: string, commonName = 'test authority'): Promise<TestAuthority> {
  mkdirSync(dir, { recursive: true });
  const authority = await createAuthority({ commonName, days: 30 });
  const file = join(dir, 'ca.crt');
  writeFileSync(file, authority.certificatePem);
  return { ...authority, file, dir };
}

/** Issues a leaf for `names` and writes `<label>.crt` and `<label>.key` beside the authority. */
export async function makeLeaf(
  authority: TestAuthority,
  names: readonly string[],
  label = 'tls',
  more: Partial<Omit<LeafRequest, 'names'>> = {},
): Promise<KeyPair & { certFile: string; keyFile: string }> {
  const leaf = await issueLeaf(authority, { names, days: 10, ...more });
  const [certFile, keyFile] = [join(authority.dir, `${label}.crt`), join(authority.dir, `${label}.key`)];
  writeFileSync(certFile, leaf.certificatePem);
  writeFileSync(keyFile, leaf.keyPem, { mode: 0o600 });
  return { ...leaf, certFile, keyFile };
}
