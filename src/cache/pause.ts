import { setTimeout as delay } from 'node:timers/promises';

/** Waits so many milliseconds; false when `signal` ended that. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}
