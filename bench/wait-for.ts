/** Waiting for the state of the world, with a deadline. */
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks `missing` every 200 ms until it returns undefined; after `seconds` throws with its last answer.
 * Throws at once what `missing` throws and when `signal` is aborted.
 */
export async function waitFor(
  what: string,
  missing: () => Promise<string | undefined>,
  { seconds, signal }: { seconds: number; signal: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await missing();
    if (answer === undefined) return;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${seconds} s: ${answer}`);
    await delay(200, undefined, { signal });
  }
}
