/** Keeps nginx's access log from filling the disk: one file and the one before it. */
import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { rotateLog } from '../cache/rotate-log.ts';
import { errorMessage, type Logger } from '../observe/log.ts';

const largest = 64 * 2 ** 20;

/** The log, the file with nginx's process id, and how often both are looked at (a minute where nothing is said). */
export interface AccessLogPlan {
  readonly file: string;
  readonly pidFile: string;
  readonly log: Logger;
  readonly everyMs?: number;
}

/** Until `signal` aborts: a log larger than 64 MiB becomes `<file>.1`, and nginx is told to open it anew. Never rejects. */
export async function keepAccessLogSmall(plan: AccessLogPlan, signal: AbortSignal): Promise<void> {
  const { file, pidFile, log, everyMs = 60_000 } = plan;
  while (!signal.aborted) {
    await delay(everyMs, undefined, { signal }).catch(() => undefined);
    const size = await stat(file).then(
      ({ size }) => size,
      () => 0,
    );
    if (size <= largest) continue;
    await rotateLog(file, pidFile).catch((error: unknown) =>
      log.warn({ detail: errorMessage(error) }, 'Access log could not be rotated; tried again'),
    );
  }
}
