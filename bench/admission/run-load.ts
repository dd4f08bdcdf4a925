/** Runs `load.ts` as a process of its own: its work is not that of who waits for it. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LoadRequest, LoadResult } from './load.ts';

const script = fileURLToPath(new URL('load.ts', import.meta.url));
const run = promisify(execFile);

/** Resolves when the load is over; rejects with the load's own words when a request failed. */
export async function runLoad(request: LoadRequest, signal: AbortSignal): Promise<LoadResult> {
  const { stdout } = await run(process.execPath, [script, JSON.stringify(request)], { signal });
  return JSON.parse(stdout) as LoadResult;
}
