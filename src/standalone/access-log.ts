/** Keeps nginx's access log from filling the disk: one file and the one before it. */
import { rename, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { readPid } from '../cache/nginx-process.ts';

const largest = 64 * 2 ** 20;
const everyMs = 60_000;

/** Until `signal` aborts: a log larger than 64 MiB becomes `<file>.1`, and nginx is told to open it anew. */
export async function keepAccessLogSmall(file: string, pidFile: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await delay(everyMs, undefined, { signal }).catch(() => undefined);
    const size = await stat(file).then(
      ({ size }) => size,
      () => 0,
    );
    if (size > largest) await rotate(file, pidFile);
  }
}

async function rotate(file: string, pidFile: string): Promise<void> {
  const pid = await readPid(pidFile);
  if (pid === undefined) return;
  await rename(file, `${file}.1`);
  process.kill(pid, 'SIGUSR1');
}
