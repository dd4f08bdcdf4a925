/** What the loop does with an error: the one switch that knows. Pure. */
import { ApiError } from '../kube/errors.ts';
import { TerminalError, WaitingError } from '../observe/errors.ts';

export type Outcome =
  | { readonly kind: 'stalled'; readonly reason: string; readonly message: string }
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string; readonly afterMs: number }
  | { readonly kind: 'backoff' };

/** `stalled`: a person must act; `waiting`: look again later; `backoff`: something failed that may not fail again. */
export function outcomeOf(error: unknown): Outcome {
  switch (true) {
    case error instanceof TerminalError:
      return { kind: 'stalled', reason: error.reason, message: error.message };
    case error instanceof WaitingError:
      return {
        kind: 'waiting',
        reason: error.reason,
        message: error.message,
        afterMs: error.retryAfterMs,
      };
    case error instanceof ApiError && error.retryAfterMs !== undefined:
      return {
        kind: 'waiting',
        reason: 'ServerBusy',
        message: error.message,
        afterMs: error.retryAfterMs ?? 0,
      };
    default:
      return { kind: 'backoff' };
  }
}
