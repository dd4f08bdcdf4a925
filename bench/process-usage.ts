/** Memory and processor time of a process as the kernel counts them. */
import { readFile } from 'node:fs/promises';

/** The unit of times in /proc: 100 to the second on every architecture Node runs on. */
const ticksPerSecond = 100;

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

/** Reads the seconds of processor time a running process has used, all threads, user and system. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  return parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'));
}

/** Parses the text of /proc/PID/stat, whose second field is a name that may hold spaces and parentheses. */
export function parseStat(text: string): number {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const seconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  if (Number.isNaN(seconds)) throw new Error(`Not a line of /proc/PID/stat: ${text}`);
  return seconds;
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
