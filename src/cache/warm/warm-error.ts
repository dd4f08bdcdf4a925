/** Why an object could not be brought into the cache. */

export type WarmFailure =
  /** The cache answered with a status that is not the object; `status` has it. */
  | 'status'
  /** No answer, or one that ended early. */
  | 'broken'
  /** Bytes that are not what their digest says; they were removed from the cache again. */
  | 'digest'
  /** A manifest that is none, or that nests too deep. */
  | 'manifest'
  /** An index without the platform asked for. */
  | 'platform'
  /** It was read whole, and the cache did not keep all of it. */
  | 'notKept';

export class WarmError extends Error {
  readonly code: WarmFailure;
  readonly status: number | undefined;
  /** What the cache asked for before another attempt. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: WarmFailure,
    message: string,
    details: ErrorOptions & { status?: number; retryAfterMs?: number | undefined } = {},
  ) {
    super(message, details);
    this.name = 'WarmError';
    this.code = code;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
  }

  /** Whether the same question may have another answer in a moment. */
  get passing(): boolean {
    if (this.code === 'broken') return true;
    return this.status !== undefined && (this.status >= 500 || this.status === 408 || this.status === 429);
  }
}
