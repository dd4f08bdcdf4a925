/** What is asked about a tag, and what is known of it. Pure. */
import type { Manifest, ManifestHead } from '../../registry/manifest.ts';
import { UpstreamError, UpstreamStatusError } from '../../registry/upstream-error.ts';
import type { ReferenceRequest } from './tag-reader.ts';

export interface TagQuestion extends ReferenceRequest {
  /** The repository as clients write it. */
  readonly name: string;
  /** The digest that nginx has a copy of. */
  readonly known: string | undefined;
  /** False: HEAD. */
  readonly wantsBody: boolean;
  /** True when a client waits who can be served a copy: then nobody is waited for long. */
  readonly isHurried: boolean;
  /** Another replica asks: no other one may be asked in turn. */
  readonly fromPeer: boolean;
}

export interface TagState {
  readonly digest: string;
  /** Until when it may be told without asking again (ms since 1970). */
  readonly validUntil: number;
  /** Absent when all that is known is that the digest still stands. */
  readonly head?: ManifestHead | undefined;
  /** Present when it was asked for and is not the known one. */
  readonly manifest?: Manifest | undefined;
  /** True when nobody could ask the upstream: the owner's copy from before. */
  readonly isStale?: boolean;
}

/** Not what the upstream has said of the tag: then it is no longer what it was. */
export function isTrouble(error: unknown): boolean {
  if (error instanceof UpstreamStatusError) return error.status >= 500 || error.status === 429;
  return error instanceof UpstreamError;
}

/** The state of a tag that is this manifest. */
export function stateOf(manifest: Manifest, validUntil: number): TagState {
  return { digest: manifest.digest, validUntil, head: headOf(manifest), manifest };
}

/** What HEAD would say of it. */
export function headOf({ digest, mediaType, bytes }: Manifest): ManifestHead {
  return { digest, mediaType, length: bytes.length };
}
