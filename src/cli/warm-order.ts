/** What `warm` is asked for. Pure. */
import type { Platform } from '../cache/warm/platform.ts';
import type { ImageToWarm } from '../cache/warm/warm-images.ts';
import type { MirrorFlags } from './mirror-flags.ts';
import { type MirrorNames, parseMirrorImage } from './mirror-image.ts';

export interface WarmFlags extends MirrorFlags {
  readonly platform?: readonly Platform[];
  readonly allPlatforms?: true;
  readonly parallel: number;
}

/** A digest wins over a tag, as with every client. */
export function imageToWarm(text: string, mirror: MirrorNames): ImageToWarm {
  const { repository, tag = 'latest', digest } = parseMirrorImage(text, mirror);
  return { text, repository, reference: digest ?? tag };
}
