/** Keeps the caches of one machine within its disk, whatever size their mirrors ask for. */
import { statfs } from 'node:fs/promises';
import type { CacheMirror } from '../cache/cache-config.ts';
import type { Logger } from '../observe/log.ts';

/** As of a claim: the rest is for what arrives before nginx makes room again, and for others. */
const share = 0.8;

type Sized = Pick<CacheMirror, 'name' | 'maxSizeMiB'>;

/**
 * Returns the mirrors with sizes that together are at most 80 % of the file system of `dir`, each in proportion to what it asks,
 * 1 MiB at least. A cache that could outgrow its disk would break downloads instead of dropping what is old.
 */
export async function fitToDisk<T extends Sized>(
  mirrors: readonly T[],
  dir: string,
  log: Logger,
): Promise<T[]> {
  const { blocks, bsize } = await statfs(dir);
  const limitMiB = (blocks * bsize * share) / 2 ** 20;
  const askedMiB = mirrors.reduce((sum, { maxSizeMiB }) => sum + maxSizeMiB, 0);
  if (askedMiB <= limitMiB) return [...mirrors];
  const fit = mirrors.map((mirror) => {
    return { ...mirror, maxSizeMiB: Math.max(1, Math.floor((mirror.maxSizeMiB / askedMiB) * limitMiB)) };
  });
  const sizesMiB = Object.fromEntries(fit.map(({ name, maxSizeMiB }) => [name, maxSizeMiB]));
  log.warn({ askedMiB, sizesMiB }, 'Caches were limited to a share of the disk');
  return fit;
}
