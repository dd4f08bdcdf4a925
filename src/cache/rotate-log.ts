/** Puts a log that nginx writes aside. Used by what counts requests and by standalone. */
import { rename } from 'node:fs/promises';
import { readPid } from './nginx-process.ts';

/** Renames `file` to `<file>.1` and makes nginx open it anew. False, and nothing done, while there is no nginx; throws if it cannot. */
export async function rotateLog(file: string, pidFile: string): Promise<boolean> {
  const pid = await readPid(pidFile);
  if (pid === undefined) return false;
  // An nginx that is just being started again may have the log open before its process id is written.
  process.kill(pid, 0);
  await rename(file, `${file}.1`);
  process.kill(pid, 'SIGUSR1');
  return true;
}

/** Makes nginx open its logs anew, without harm where it already has. Throws if it is gone. */
export async function reopenLogs(pidFile: string): Promise<void> {
  const pid = await readPid(pidFile);
  if (pid !== undefined) process.kill(pid, 'SIGUSR1');
}
