/** A real file system that is small enough to be filled: a tmpfs of the test's own. Needs root. */
import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import type { ExecutionContext } from 'ava';

export interface SmallVolume {
  readonly freeBytes: () => number;
  readonly remount: (mode: 'ro' | 'rw') => void;
}

/** Mounts `mib` MiB at `dir`, which must exist; it is unmounted when the test ends, after what was started later. */
export function mountSmallVolume(t: ExecutionContext, dir: string, mib: number): SmallVolume {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m,mode=0755`, 'tmpfs', dir]);
  t.teardown(() => execFileSync('umount', [dir]));
  return {
    freeBytes: () => {
      const { bavail, bsize } = statfsSync(dir);
      return bavail * bsize;
    },
    remount: (mode) => execFileSync('mount', ['-o', `remount,${mode}`, dir]),
  };
}
