/** Finds the folder with the control plane's programs, building it when it is not there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/**
 * Returns a folder that has every one of `programs`: `KUBEBUILDER_ASSETS`, else what `./build` has built (minutes, the
 * first time; its progress goes to standard error). Throws when there is none: tests never skip for want of a server.
 */
export async function findAssets(programs: string[], signal?: AbortSignal): Promise<string> {
  const folder = await build(signal);
  const missing = programs.filter((program) => !existsSync(join(folder, program)));
  if (missing.length > 0) throw new Error(missingPrograms(folder, missing));
  return folder;
}

async function build(signal?: AbortSignal): Promise<string> {
  const script = join(import.meta.dirname, 'build');
  const child = spawn(script, { stdio: ['ignore', 'pipe', 'pipe'], ...(signal && { signal }) });
  child.stderr.pipe(process.stderr, { end: false });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  const folder = stdout.trim().split('\n').at(-1);
  if (code !== 0 || !folder) {
    throw new Error(
      `The test control plane cannot be had: ${script} ended with ${code}: ${stderr.slice(-2000)}`,
    );
  }
  return folder;
}

function missingPrograms(folder: string, missing: string[]): string {
  return `${folder} has no ${missing.join(', ')}; unset KUBEBUILDER_ASSETS to have test/kubernetes/build make what is needed`;
}
