/** Looks at the volume that the cache lies on: how much is free, and whether it can be written to. */
import { constants } from 'node:fs';
import { access, mkdir, open, statfs, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorMessage } from '../../../observe/error-message.ts';
import type { VolumeReason } from './store-report.ts';

export interface Space {
  readonly sizeBytes: number;
  /** Without the blocks kept for root. */
  readonly freeBytes: number;
  /** True when hardly any file can be made, however much is free. */
  readonly filesShort: boolean;
}

/** Why nothing can be written, for the report. */
export interface VolumeFault {
  readonly reason: Exclude<VolumeReason, 'Ok'>;
  readonly message: string;
}

const mib = 2 ** 20;

/**
 * The free space that our own writing never goes below, in bytes: 5 % of the volume, at least 64 MiB (a slice of 8 MiB
 * for each of eight nginx workers, and what the file system itself needs), at most 2 GiB; of a tiny volume an eighth.
 */
export function floorOf(sizeBytes: number): number {
  return Math.min(2048 * mib, sizeBytes / 8, Math.max(64 * mib, sizeBytes / 20));
}

/** Room is made below this, so that it is there before a miss must wait for it. Bytes. */
export function lowMark(sizeBytes: number): number {
  return 1.5 * floorOf(sizeBytes);
}

/** Room is made until so much is free. Bytes; with the bound of nginx at 80 % of the volume normally never reached. */
export function highMark(sizeBytes: number): number {
  return 2 * floorOf(sizeBytes);
}

/** A file system with a fixed number of files is full when fewer than 1 in 100 are left, of a large one 1000. */
function filesShort(files: number, left: number): boolean {
  return files > 0 && left < Math.min(1000, files / 100);
}

/**
 * Returns the space of the volume of `dir`, or the fault that makes it useless. Two system calls: fit for every miss. A
 * read-only mount shows in `access`, also for root.
 */
export async function lookAt(dir: string): Promise<Space | VolumeFault> {
  try {
    const { blocks, bavail, bsize, files, ffree } = await statfs(dir);
    await access(dir, constants.W_OK);
    return {
      sizeBytes: blocks * bsize,
      freeBytes: bavail * bsize,
      filesShort: filesShort(files, ffree),
    };
  } catch (error) {
    // The broker's own folder may be yet to be made, on a volume that will not have it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && dir !== dirname(dir))
      return lookAt(dirname(dir));
    return faultOf(error);
  }
}

/** Writes, syncs and removes a small file in `dir`: what breaks a disk shows only when it is written to. */
export async function probe(dir: string): Promise<VolumeFault | undefined> {
  const path = join(dir, 'write-probe');
  try {
    await mkdir(dir, { recursive: true });
    const file = await open(path, 'w', 0o600);
    try {
      await file.write('x'.repeat(4096));
      await file.sync();
    } finally {
      await file.close();
    }
    await unlink(path);
    return undefined;
  } catch (error) {
    return faultOf(error);
  }
}

function faultOf(error: unknown): VolumeFault {
  const { code } = error as NodeJS.ErrnoException;
  const message = errorMessage(error);
  if (code === 'EROFS') return { reason: 'ReadOnly', message };
  if (code === 'ENOSPC' || code === 'EDQUOT') return { reason: 'Full', message };
  return { reason: 'IoError', message };
}

export function isFault(found: Space | VolumeFault): found is VolumeFault {
  return 'reason' in found;
}
