/** What a cluster has on the machine, and what of it is left later: processes, namespaces, mounts, links, control groups and files. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { familyOf } from '../support/processes.ts';
import { mountedHierarchies } from './cgroups.ts';
import { endingFile, placesFolder, readState } from './cluster-state.ts';
import { Place } from './place.ts';
import { recordOf } from './process-record.ts';
import { systemPath } from './programs.ts';

export interface Traces {
  readonly folder: string;
  /** As the machine counts them. */
  readonly pids: readonly number[];
  /** `net:[4026532201]`, of the cluster's places and of its pods. */
  readonly namespaces: readonly string[];
  readonly cgroup: string | undefined;
  /** Seconds from the machine's boot to this look: what was started later is another's, also where it has a name that is free again. */
  readonly uptime: number;
  /** The machine's own links, mounts and named networks: a cluster changes none of them. */
  readonly machine: readonly string[];
}

const kinds = ['net', 'mnt', 'pid', 'uts', 'ipc'];

/** Looks at the cluster in a folder, whole or not, and at the machine. */
export async function tracesOf(folder: string): Promise<Traces> {
  const places = existsSync(placesFolder(folder)) ? readdirSync(placesFolder(folder)) : [];
  const inits = await Promise.all(places.map((name) => placeIn(folder, name).init()));
  const families = await Promise.all(inits.filter((init) => init !== undefined).map(familyOf));
  const pids = families.flat();
  const own = new Set(namespacesOf(process.pid));
  const namespaces = new Set(pids.flatMap(namespacesOf).filter((name) => !own.has(name)));
  return {
    folder,
    pids,
    namespaces: [...namespaces],
    cgroup: readState(folder)?.cgroup,
    uptime: uptime(),
    machine: machineOf(folder),
  };
}

/** Everything that is left of the cluster, a line each. */
export function leftOf(traces: Traces): string[] {
  const { folder, cgroup, machine } = traces;
  const gone = new Set(traces.namespaces);
  const processes = processIds().filter((pid) => {
    if (pid === process.pid || secondsToStart(pid) > traces.uptime) return false;
    return mentions(pid, folder) || namespacesOf(pid).some((name) => gone.has(name));
  });
  const cgroups = mountedHierarchies().map(({ path }) => join(path, basename(cgroup ?? 'none')));
  return [
    ...processes.map((pid) => `process ${pid}: ${commandOf(pid)}`),
    ...cgroups.filter((path) => existsSync(path)).map((path) => `control group ${path}`),
    ...machineOf(folder).filter((line) => !machine.includes(line)),
    ...machine.filter((line) => !machineOf(folder).includes(line)).map((line) => `missing: ${line}`),
    ...(existsSync(folder) ? [`folder ${folder}`] : []),
  ];
}

/** Others may mount and unmount at the same time: of mounts, those count that have to do with the folder. */
function machineOf(folder: string): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' }).trim().split('\n');
  return [
    ...mounts.filter((line) => line.includes(folder) || line.includes('nsfs')).map((line) => `mount ${line}`),
    ...ip('-o', 'link').map((line) => `link ${line.split(':')[1]?.trim()}`),
    ...ip('-4', '-o', 'route').map((line) => `route ${line.trim()}`),
    ...ip('netns').map((line) => `network ${line}`),
  ];
}

function placeIn(folder: string, name: string): Place {
  const options = { folder: join(placesFolder(folder), name), path: systemPath };
  return new Place(name, { ...options, endingFile: endingFile(folder) });
}

function processIds(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function namespacesOf(pid: number): string[] {
  return kinds.flatMap((kind) => quietly(() => readlinkSync(`/proc/${pid}/ns/${kind}`)) ?? []);
}

function uptime(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
}

/** The kernel counts in hundredths (USER_HZ, 100 on every architecture of ours). */
function secondsToStart(pid: number): number {
  return Number(recordOf(pid)?.start ?? Number.POSITIVE_INFINITY) / 100;
}

function commandOf(pid: number): string {
  return (quietly(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '').replaceAll('\0', ' ').trim();
}

function mentions(pid: number, folder: string): boolean {
  const links = ['cwd', 'root', 'exe'].map(
    (name) => quietly(() => readlinkSync(`/proc/${pid}/${name}`)) ?? '',
  );
  return commandOf(pid).includes(folder) || links.some((target) => target.startsWith(folder));
}

/** Processes end while one looks. */
function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
