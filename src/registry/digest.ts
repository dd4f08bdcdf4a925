/** Content digests of the OCI image specification: `sha256:<hex>`, `sha512:<hex>`. */
import { createHash, type Hash } from 'node:crypto';

export type DigestAlgorithm = 'sha256' | 'sha512';

export interface Digest {
  readonly algorithm: DigestAlgorithm;
  /** The whole of it, `sha256:<64 lower case hex digits>`. */
  readonly text: string;
}

const grammar = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Takes any text and returns the digest, or undefined when it is none or of an algorithm we cannot compute. */
export function parseDigest(text: string): Digest | undefined {
  if (!grammar.test(text)) return undefined;
  return { algorithm: text.startsWith('sha256:') ? 'sha256' : 'sha512', text };
}

/** Returns the digest of the bytes as text. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): string {
  return finishDigest(createHash(algorithm).update(bytes), algorithm);
}

/** Returns the digest of what a hash was fed, as text. */
export function finishDigest(hash: Hash, algorithm: DigestAlgorithm): string {
  return `${algorithm}:${hash.digest('hex')}`;
}
