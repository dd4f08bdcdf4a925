/** Memory and processor time of a process as the kernel counts them. */
import { readdir, readFile } from 'node:fs/promises';

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
  const fields = statFields(text);
  const seconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  if (Number.isNaN(seconds)) throw new Error(`Not a line of /proc/PID/stat: ${text}`);
  return seconds;
}

/** The fields after the name, beginning with the state. */
function statFields(text: string): string[] {
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
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

/** Seconds of processor time of a running process, its descendants, and those of them that have ended and been waited for. */
export async function cpuSecondsOfTree(pid: number): Promise<number> {
  const stats = await allStats();
  const family = new Set([pid]);
  // A process may be listed before its parent: ids wrap.
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const { pid, parent } of stats) if (family.has(parent)) family.add(pid);
  }
  return stats.filter(({ pid }) => family.has(pid)).reduce((sum, { seconds }) => sum + seconds, 0);
}

async function allStats(): Promise<{ pid: number; parent: number; seconds: number }[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  // Some end while we look.
  const texts = await Promise.all(
    pids.map(async (pid) => ({ pid, text: await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '') })),
  );
  return texts
    .filter(({ text }) => text !== '')
    .map(({ pid, text }) => {
      const fields = statFields(text);
      const seconds = parseStat(text) + (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
      return { pid: Number(pid), parent: Number(fields[1]), seconds };
    });
}
