import { redact } from './redact.ts';

/** Returns the message of anything thrown, with its causes, redacted. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return redact(String(error));
  const cause = error.cause === undefined ? '' : `: ${errorMessage(error.cause)}`;
  return redact(error.message) + cause;
}
