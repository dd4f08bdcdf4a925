import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { UnusableFile } from './files.ts';

/** Gives a lock back; resolves when it is free. */
export type Release = () => Promise<void>;

/**
 * Takes the exclusive lock on the real path `path` (a file, made if missing); rejects after `waitSeconds`, or when `signal` aborts, and
 * with an `UnusableFile` where the file can be neither opened nor locked.
 *
 * A real flock(2), held by a child (`flock` of util-linux turned into `cat`): the kernel frees it when the child ends, and the child ends with the pipe
 * to us, however we died. No staleness to guess across pods, process namespaces and boots, and the same lock as mirror-hostess's own.
 */
export async function acquireLock(path: string, waitSeconds: number, signal: AbortSignal): Promise<Release> {
  signal.throwIfAborted();
  const child = spawn('flock', ['-x', '-F', '-w', String(waitSeconds), path, 'cat'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
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
      closed.then((code) => refuse(code, path, said.trim())),
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

/** Codes of sysexits.h with which flock(1) tells that the file cannot be locked (65) or opened (66, 73): not those for want of memory. */
const unusable: readonly (number | null)[] = [65, 66, 73];

/** flock(1) ends with 1 when the time is up. */
function refuse(code: number | null, path: string, said: string): never {
  if (unusable.includes(code)) throw new UnusableFile(path, said || `flock ended with code ${code}`);
  throw new Error(code === 1 ? 'Lock was not free in time' : `flock ended with code ${code}`);
}
