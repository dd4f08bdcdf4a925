/** Errors by what the reconcile loop must do with them. Everything that is neither is retried with backoff. */

/** A human must act: no retry, condition `Stalled`, one Warning event. `reason` is CamelCase and stable. */
export class TerminalError extends Error {
  readonly reason: string;
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TerminalError';
    this.reason = reason;
  }
}

/** Nothing is wrong, something is not there yet: look again after `retryAfterMs` milliseconds. */
export class WaitingError extends Error {
  readonly reason: string;
  readonly retryAfterMs: number;
  constructor(reason: string, message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.name = 'WaitingError';
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}
