/** Finds processes of the host in /proc and signals them. Needs the host's process namespace (`hostPID`) and CAP_KILL. */
import { join } from 'node:path';
import { type FileCalls, unless } from './files.ts';

/** What finding and signalling needs from outside. */
export interface ProcessTools {
  readonly files: Pick<FileCalls, 'lstatSync' | 'readFileSync' | 'readdirSync'>;
  /** `/proc` of the process namespace that `kill` acts in. */
  readonly procFolder: string;
  /** `/proc` of the host, where the agent may be in another process namespace. */
  readonly hostProcFolder?: string;
  /** As `process.kill`. */
  readonly kill: (pid: number, signal: NodeJS.Signals) => void;
  /** Only processes of this user count: a container in a user namespace may name a process as it likes. */
  readonly uid: number;
}

/** A process as /proc tells of it. */
export interface FoundProcess {
  readonly pid: number;
  readonly parent: number;
  /** Seconds since it began. */
  readonly age: number;
  /** Seconds between the host's start and its own. */
  readonly began: number;
  readonly commandLine: readonly string[];
}

/** `sent`: who got it (nobody: the program does not run). `error`: why somebody did not. */
export interface SignalOutcome {
  readonly sent: readonly number[];
  readonly error?: unknown;
}

/** The program runs, but not in the process namespace that the agent may signal in. */
export class OutOfReach extends Error {
  constructor(name: string) {
    super(`${name} runs where this agent cannot signal it: reload it by hand`);
  }
}

/** A Go program that has not come to its signal handler dies of a SIGHUP; one this old (in seconds) has. */
export const youngestSignalled = 5;

/** Field 22 of /proc/PID/stat counts in these per second, on every Linux architecture of today (USER_HZ). */
const ticks = 100;

/** Signals every process named `name`. One that has just begun is left for the next try. Never throws. */
export function sendSignal(name: string, signal: NodeJS.Signals, tools: ProcessTools): SignalOutcome {
  const sent: number[] = [];
  try {
    const found = findProcesses(name, tools);
    if (found.length === 0 && isOutOfReach(name, tools)) return { sent, error: new OutOfReach(name) };
    for (const { pid, age } of found) {
      if (age < youngestSignalled) continue;
      if (unless(['ESRCH'], () => killOne(pid, signal, tools)) !== undefined) sent.push(pid);
    }
    const young = found.find(({ age }) => age < youngestSignalled);
    return young === undefined ? { sent } : { sent, error: new Error(`${name} ${young.pid} has just begun`) };
  } catch (error) {
    return { sent, error };
  }
}

/** Without `hostPID` an agent sees no process of the node in its own namespace: nobody there does not mean that nobody runs. */
function isOutOfReach(name: string, { hostProcFolder, ...tools }: ProcessTools): boolean {
  if (hostProcFolder === undefined) return false;
  try {
    return findProcesses(name, { ...tools, procFolder: hostProcFolder }).length > 0;
  } catch {
    return false;
  }
}

/** The processes named `name` (the first 15 bytes of their program's file name), without those they have forked and those in containers. */
export function findProcesses(name: string, tools: Omit<ProcessTools, 'kill'>): FoundProcess[] {
  const uptime = Number.parseFloat(tools.files.readFileSync(join(tools.procFolder, 'uptime'), 'utf8'));
  const pids = tools.files.readdirSync(tools.procFolder).filter((entry) => /^[1-9][0-9]*$/.test(entry));
  // ESRCH: it ended between two calls.
  const found = pids.flatMap(
    (pid) => unless(['ENOENT', 'ESRCH', 'ENOTDIR'], () => readProcess(pid, name, uptime, tools)) ?? [],
  );
  return found.filter(({ parent }) => !found.some(({ pid }) => pid === parent));
}

function readProcess(
  pid: string,
  name: string,
  uptime: number,
  tools: Omit<ProcessTools, 'kill'>,
): FoundProcess[] {
  const folder = join(tools.procFolder, pid);
  const read = (file: string) => tools.files.readFileSync(join(folder, file), 'utf8');
  if (read('comm').trimEnd() !== name.slice(0, 15)) return [];
  if (tools.files.lstatSync(folder).uid !== tools.uid) return [];
  if (isInContainer(read('status'))) return [];
  const stat = read('stat');
  // The name in parentheses may hold anything; what follows the last one begins with field 3.
  const [state, parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z' || state === 'X') return [];
  const began = Number(rest[17]) / ticks;
  const commandLine = read('cmdline').split('\0').slice(0, -1);
  return [{ pid: Number(pid), parent: Number(parent), age: uptime - began, began, commandLine }];
}

/** A dockerd in a pod is a process of the host too, and not the host's dockerd. */
function isInContainer(status: string): boolean {
  const ids = /^NSpid:(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/) ?? [];
  return ids.length > 1;
}

function killOne(pid: number, signal: NodeJS.Signals, tools: ProcessTools): true {
  tools.kill(pid, signal);
  return true;
}
