/**
 * Which process is meant by an id that was written down: an id is given again to others, but not with the same start in the same boot
 * of the machine.
 */
import { readFileSync } from 'node:fs';

/** Written by the process itself, before it becomes what it is to be: `PID START BOOT`. */
export interface ProcessRecord {
  /** In the process namespace of who wrote it. */
  readonly pid: number;
  /** Clock ticks from the machine's boot to its start (proc(5), stat, field 22). */
  readonly start: string;
  readonly boot: string;
}

/** A shell command that writes the shell's own record to file descriptor 3 and closes it. What the shell becomes by `exec` stays that process. */
export const recordItself =
  'echo "$$ $(cut -d " " -f 22 /proc/$$/stat) $(cat /proc/sys/kernel/random/boot_id)" >&3; exec 3>&-';

/** Returns the record in a file; undefined where there is none, or one that was not written to its end. */
export function readRecord(file: string): ProcessRecord | undefined {
  const text = readIfThere(file);
  const parts = text?.endsWith('\n') ? text.trim().split(' ') : [];
  const [pid, start, boot] = parts;
  if (pid === undefined || start === undefined || boot === undefined) return undefined;
  return { pid: Number(pid), start, boot };
}

/** Whether exactly that process, of this process's own namespace, is there. */
export function isThere({ pid, start, boot }: ProcessRecord): boolean {
  return boot === readIfThere('/proc/sys/kernel/random/boot_id')?.trim() && start === startOf(pid);
}

/** The record of a process of this process's own namespace; undefined where it has ended. */
export function recordOf(pid: number): ProcessRecord | undefined {
  const start = startOf(pid);
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return start === undefined ? undefined : { pid, start, boot };
}

/** One line, as `readRecord` takes it. */
export function formatRecord({ pid, start, boot }: ProcessRecord): string {
  return `${pid} ${start} ${boot}\n`;
}

/** The second field is the program's name in parentheses, which may hold anything. */
function startOf(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
