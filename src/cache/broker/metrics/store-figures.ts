/** The part of a mirror's report that the disk tells. Pure. */
import type { CacheMirrorReport } from '../../cache-report.ts';
import type { StoreReport } from '../store/store-report.ts';

/** Takes what is known of the volume; nothing of a mirror that was not looked at yet. */
export function storeFigures(
  store: StoreReport | undefined,
  name: string,
): Partial<Pick<CacheMirrorReport, 'cache' | 'purges' | 'scrub'>> {
  const mirror = store?.mirrors.find((one) => one.name === name);
  if (store === undefined || mirror === undefined) return {};
  const { writable, reason, message, freeBytes } = store.volume;
  const { bytes, limitBytes, files, evicted, purges, scrub } = mirror;
  return {
    cache: {
      bytes,
      limitBytes,
      freeBytes,
      objects: files,
      writable,
      ...(!writable && { reason }),
      ...(message !== undefined && { message }),
      ...(evicted.youngestSeconds !== undefined && { youngestEvictedSeconds: evicted.youngestSeconds }),
    },
    purges: purges.requests,
    scrub: {
      checked: scrub.checked,
      corrupt: scrub.corrupt,
      ...(scrub.lastCorrupt !== undefined && { lastCorrupt: scrub.lastCorrupt.at }),
    },
  };
}
