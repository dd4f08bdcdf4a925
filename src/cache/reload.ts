/** Follows files that processes read only when told to: configuration and certificates of nginx. Polls, because kubelet swaps symlinks. */
import { createHash } from 'node:crypto';
import type { Logger } from '../observe/log.ts';
import { readPid, reloadNginx, testNginx } from './nginx-process.ts';
import { pause } from './pause.ts';
import { readRegularFile } from './read-regular-file.ts';

/** Content of all `files` as one short text; a missing file, and what is none, counts as empty. */
export async function fingerprint(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    const content = await readRegularFile(file).catch(() => Buffer.alloc(0));
    hash.update(`${content.length} `).update(content);
  }
  return hash.digest('hex');
}

/**
 * Calls `onChange`, which must not throw, whenever the fingerprint of `files` is another than at the call before (at first: than `current`)
 * and has stayed the same for one interval, so that a file that is being written is not read half. Ends with `signal`.
 */
export async function followFiles(options: {
  files: readonly string[];
  current: string;
  onChange: () => Promise<void>;
  intervalMs: number;
  signal: AbortSignal;
}): Promise<void> {
  const { files, onChange, intervalMs, signal } = options;
  let handled = options.current;
  let seen = handled;
  while (await pause(intervalMs, signal)) {
    const now = await fingerprint(files);
    if (now !== handled && now === seen) {
      handled = now;
      await onChange();
    }
    seen = now;
  }
}

/** Milliseconds after which what nginx refused is tried again: memory or a disk may have been short. */
const retryMs = 30_000;

/**
 * Reloads nginx until what it runs from is what lies in `files`: at the start too, because nobody knows what changed before. What
 * `nginx -t` refuses is logged, and what is in force stays. Runs until `signal` aborts.
 */
export async function reloadOnChange(options: {
  confFile: string;
  pidFile: string;
  files: readonly string[];
  log: Logger;
  signal: AbortSignal;
  intervalMs?: number;
}): Promise<void> {
  const { confFile, pidFile, files, log, signal, intervalMs = 2000 } = options;
  let inForce: string | undefined;
  let seen: string | undefined;
  let tried = { content: '', at: 0 };
  while (await pause(intervalMs, signal)) {
    const content = await fingerprint(files);
    const settled = content === seen;
    seen = content;
    const isDue = content !== tried.content || performance.now() - tried.at >= retryMs;
    if (!settled || content === inForce || !isDue) continue;
    // An nginx that is still to start reads the files itself, but perhaps just before they changed: wait for it.
    if ((await readPid(pidFile)) === undefined) continue;
    tried = { content, at: performance.now() };
    if (await reload(confFile, pidFile, log)) inForce = content;
  }
}

async function reload(confFile: string, pidFile: string, log: Logger): Promise<boolean> {
  try {
    await testNginx(confFile);
    await reloadNginx(pidFile);
    log.info({ confFile }, 'Reloaded nginx');
    return true;
  } catch (error) {
    log.error({ confFile, error }, 'Kept the nginx configuration in force');
    return false;
  }
}
