/** Memory of a process as the kernel counts it. */
import { readFile } from 'node:fs/promises';

/** In MiB. `peak` and `now` are resident memory, `anonymous` is its part that is not backed by files (code is). */
export interface Memory {
  peak: number;
  now: number;
  anonymous: number;
}

/** Reads the memory of a running process. */
export async function memoryOf(pid: number): Promise<Memory> {
  return parseStatus(await readFile(`/proc/${pid}/status`, 'utf8'));
}

/** Parses the text of /proc/PID/status; throws when a line is missing, as it is for a process that has ended. */
export function parseStatus(text: string): Memory {
  return {
    peak: mebibytes(text, 'VmHWM'),
    now: mebibytes(text, 'VmRSS'),
    anonymous: mebibytes(text, 'RssAnon'),
  };
}

function mebibytes(text: string, name: string): number {
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
  if (kibibytes === undefined) throw new Error(`The process has no ${name}; has it ended?`);
  return Math.round((Number(kibibytes) / 1024) * 10) / 10;
}
