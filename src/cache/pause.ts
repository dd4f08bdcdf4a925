import { setTimeout as delay } from 'node:timers/promises';

/** Waits so many milliseconds; false when `signal` ended that. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}

/** Waits so many milliseconds, or until `wake` resolves; false when `signal` ended that. */
export async function pauseUntil(wake: Promise<void>, ms: number, signal: AbortSignal): Promise<boolean> {
  const early = new AbortController();
  const pausing = pause(ms, AbortSignal.any([signal, early.signal]));
  await Promise.race([pausing, wake]);
  early.abort();
  return !signal.aborted;
}
