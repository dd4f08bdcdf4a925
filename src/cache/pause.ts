/** Waits so many milliseconds; false when `signal` ended that. */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return pauseUntil(undefined, ms, signal);
}

/**
 * Waits so many milliseconds, or until `wake` resolves; false when `signal` ended that. Without a signal of its own to abort: each abort makes an error, and
 * an idle node agent does little else.
 */
export async function pauseUntil(
  wake: Promise<void> | undefined,
  ms: number,
  signal: AbortSignal,
): Promise<boolean> {
  if (signal.aborted) return false;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const end = () => resolve();
  const timer = setTimeout(end, ms);
  signal.addEventListener('abort', end);
  wake?.then(end, reject);
  try {
    await promise;
    return !signal.aborted;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}
