/** Runs one of the scripts that build what tests need. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/**
 * Returns the folder that `script` names in its last line; its progress goes to standard error. `what` it builds is told
 * when it fails.
 */
export async function builtFolder(
  script: string,
  what: string,
  signal?: AbortSignal,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = spawn(script, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(signal && { signal }),
  });
  child.stderr.pipe(process.stderr, { end: false });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  const folder = stdout.trim().split('\n').at(-1);
  if (code === 0 && folder) return folder;
  throw new Error(`${what} cannot be had: ${script} ended with ${code}: ${stderr.slice(-2000)}`);
}
