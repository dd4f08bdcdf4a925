import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Gives a lock back; resolves when it is free. */
export type Release = () => Promise<void>;

/**
 * Takes the exclusive lock on the real path `path` (a file, made if missing); rejects after `waitSeconds`, or when `signal` aborts.
 *
 * A real flock(2), held by a child (`flock` of util-linux turned into `cat`): the kernel frees it when the child ends, and the child ends with the pipe
 * to us, however we died. No staleness to guess across pods, process namespaces and boots, and the same lock as mirror-hostess's own.
 */
export async function acquireLock(path: string, waitSeconds: number, signal: AbortSignal): Promise<Release> {
  signal.throwIfAborted();
  const child = spawn('flock', ['-x', '-F', '-w', String(waitSeconds), path, 'cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  // The child may be gone when it is written to: that is told by its end.
  child.stdin.on('error', () => undefined);
  child.stdin.write('\n');
  const stop = () => child.kill();
  signal.addEventListener('abort', stop, { once: true });
  try {
    // `cat` echoes once flock has become it: the lock is held. Once it is, an abort must not take it away from a writer at work.
    await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'error').then(throwFirst),
      closed.then(refuse),
    ]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return async () => {
    child.stdin.end();
    await closed;
  };
}

function throwFirst([error]: unknown[]): never {
  throw error;
}

/** flock(1) ends with 1 when the time is up and with a code of sysexits.h when the file cannot be opened. */
function refuse(code: number | null): never {
  throw new Error(code === 1 ? 'Lock was not free in time' : `flock ended with code ${code}`);
}
