/** How much a cache may hold, from the claim a mirror asks for. Pure. */
import { quantityBytes } from './quantity.ts';
import type { RegistryMirror } from './registry-mirror.ts';

const defaultSize = '20Gi';

/**
 * The share of the claim that nginx may fill. The rest is for the file system, the broker's state, and what arrives in the
 * up to 10 s between two rounds in which nginx makes room.
 */
const share = 0.8;

/** The size asked for each claim, as the user wrote it. */
export function claimSize({ spec }: RegistryMirror): string | number {
  return spec.volumeClaimTemplate?.spec?.resources?.requests?.storage ?? defaultSize;
}

/** True where the mirror asks for more than its share of the claim. */
export function isClamped(mirror: RegistryMirror): boolean {
  const { maxSize } = mirror.spec.cache ?? {};
  return maxSize !== undefined && quantityBytes(maxSize) > limitOf(mirror);
}

/** nginx's `max_size` in MiB, at least 1: what the mirror asks for, within its share of the claim. */
export function cacheSizeMiB(mirror: RegistryMirror): number {
  const { maxSize } = mirror.spec.cache ?? {};
  const limit = limitOf(mirror);
  const wanted = maxSize === undefined ? limit : Math.min(limit, quantityBytes(maxSize));
  return Math.max(1, Math.floor(wanted / 2 ** 20));
}

function limitOf(mirror: RegistryMirror): number {
  return quantityBytes(claimSize(mirror)) * share;
}
