/** What the loop does with an error: the one switch that knows. Pure. */
import { ApiError } from '../kube/errors.ts';
import { TerminalError, WaitingError } from '../observe/errors.ts';

export type Outcome =
  | { readonly kind: 'stalled'; readonly reason: string; readonly message: string }
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string; readonly afterMs: number }
  | { readonly kind: 'backoff' };

/** What a gateway says in the place of the server is no word of the server's: it may be back long before. */
const longestWaitMs = 60_000;

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
    // No pause at all would be a loop without end.
    case error instanceof ApiError && (error.retryAfterMs ?? 0) > 0:
      return {
        kind: 'waiting',
        reason: 'ServerBusy',
        message: error.message,
        afterMs: Math.min(error.retryAfterMs ?? 0, longestWaitMs),
      };
    default:
      return { kind: 'backoff' };
  }
}
