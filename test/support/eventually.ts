import { setTimeout as delay } from 'node:timers/promises';

/** Retries `check` every `interval` ms until it returns without throwing; after `timeout` ms throws its last error. */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: { timeout?: number; interval?: number; message?: string } = {},
): Promise<T> {
  const { timeout = 60_000, interval = 50, message = 'Condition was not met' } = options;
  const deadline = Date.now() + timeout;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) {
        const last = error instanceof Error ? error.message : String(error);
        throw new Error(`${message} within ${timeout} ms: ${last}`, { cause: error });
      }
      await delay(interval);
    }
  }
}
