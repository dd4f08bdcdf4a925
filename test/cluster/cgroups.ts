/** The cluster's own folder in each control group hierarchy that is mounted: nodes' pods are below it, and nothing else is. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';

/** Version 2, or one of version 1 with its controllers. */
export interface Hierarchy {
  readonly path: string;
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
}

/** What a kubelet does not run without. */
export const neededControllers = ['cpu', 'cpuacct', 'cpuset', 'memory', 'pids'];

/** Reads the hierarchies from the text of /proc/mounts. In version 2 there is no cpuacct: cpu counts too. */
export function hierarchiesOf(mounts: string, readControllers = controllersOf): Hierarchy[] {
  return mounts.split('\n').flatMap((line): Hierarchy[] => {
    const [, path = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup') return [{ path, version: 1, controllers: options.split(',') }];
    if (type !== 'cgroup2') return [];
    const controllers = readControllers(path);
    return [
      {
        path,
        version: 2,
        controllers: controllers.includes('cpu') ? [...controllers, 'cpuacct'] : controllers,
      },
    ];
  });
}

export function mountedHierarchies(): Hierarchy[] {
  return hierarchiesOf(readFileSync('/proc/mounts', 'utf8'));
}

/** Makes `path` (`/cluster/node`) in every hierarchy. */
export function makeCgroup(path: string): void {
  for (const hierarchy of mountedHierarchies()) makeIn(hierarchy, path);
}

/** Removes `path` and what is below it, everywhere. What was in them has ended; the kernel may need a moment to know. */
export async function removeCgroup(path: string): Promise<void> {
  await eventually(
    () => {
      for (const hierarchy of mountedHierarchies()) removeTree(join(hierarchy.path, path));
    },
    { timeout: 20_000, message: `The control group ${path} could not be removed` },
  );
}

function makeIn(hierarchy: Hierarchy, path: string): void {
  let folder = hierarchy.path;
  for (const name of path.split('/').filter(Boolean)) {
    if (hierarchy.version === 2) passOn(folder, hierarchy.controllers);
    const above = folder;
    folder = join(folder, name);
    if (existsSync(folder)) continue;
    mkdirSync(folder);
    // A new one of version 1 has none, and takes no process.
    if (hierarchy.version === 1 && hierarchy.controllers.includes('cpuset')) inherit(above, folder);
  }
}

function inherit(above: string, folder: string): void {
  for (const name of ['cpuset.cpus', 'cpuset.mems'])
    writeFileSync(join(folder, name), readFileSync(join(above, name), 'utf8'));
}

function passOn(folder: string, controllers: readonly string[]): void {
  for (const name of controllers.filter((each) => neededControllers.includes(each) && each !== 'cpuacct'))
    writeFileSync(join(folder, 'cgroup.subtree_control'), `+${name}`);
}

function removeTree(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  rmdirSync(folder);
}

function controllersOf(path: string): string[] {
  return readFileSync(join(path, 'cgroup.controllers'), 'utf8').trim().split(' ').filter(Boolean);
}
