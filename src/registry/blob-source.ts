/** Where the bytes of a blob can be had: the upstream, or another replica. A source only asks; `BlobReader` checks. */
import type { BlobRange } from './blob-range.ts';
import type { Digest } from './digest.ts';
import type { HttpAnswer } from './transport.ts';

export interface BlobRequest {
  readonly repository: string;
  readonly digest: Digest;
  /** Absent: the whole blob. */
  readonly range: BlobRange | undefined;
  /** The client's own, as in `UpstreamRequest`; absent: the mirror's. */
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
}

/** An answer of 200 or 206. */
export interface BlobAnswer extends HttpAnswer {
  /** Where it came from; only the host is ever told. */
  readonly url: URL;
}

export interface BlobSource {
  /** Named in errors. */
  readonly host: string;
  /**
   * Asks for `range` (not the request's own: a body that broke is taken up from its middle). Rejects with
   * `UpstreamStatusError` for any status but 200 and 206, with `UpstreamError` for anything else.
   */
  ask(request: BlobRequest, range: BlobRange | undefined): Promise<BlobAnswer>;
  /** Counts what came from here. */
  received(bytes: number): void;
  /** Told when a body from here broke and is taken up again. */
  broke(): void;
  /** True when what it failed with is the answer, and nobody else must be asked. */
  hasLastWord(error: unknown): boolean;
  /** Told when bytes that came from here were not the blob's. */
  distrust(request: BlobRequest): void;
}
