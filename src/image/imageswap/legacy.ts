/** `IMAGESWAP_MODE=LEGACY`: one prefix for every image, imageswap's only mode before 1.4.0. */
import { isImageReference, isReferencePrefix, parseReference, splitPort, suffixOf } from '../reference.ts';
import type { Rule, Stage } from '../settle.ts';
import { withoutEndSlash } from './entry.ts';

/** Takes `IMAGE_PREFIX`; empty means that nothing is rewritten. */
export function legacyStage(imagePrefix: string): Stage {
  const prefix = withoutEndSlash(imagePrefix);
  const rule: Rule = { source: 'imageswap LEGACY', key: prefix };
  return ({ image }) => {
    if (prefix === '') return undefined;
    if (image.includes(prefix)) return { rule, stay: 'already' };
    return { rule, to: prefix.endsWith('-') ? glued(prefix, image) : `${prefix}/${lastSegment(image)}` };
  };
}

/** Whether `prefix` can be `IMAGE_PREFIX`; empty means that nothing is rewritten, and one that ends in `-` is glued to what follows. */
export function isLegacyPrefix(prefix: string): boolean {
  return prefix === '' || isReferencePrefix(prefix.endsWith('-') ? `${prefix}x` : prefix.replace(/\/+$/, ''));
}

/** What follows the last slash, with tag and digest. */
export function lastSegment(image: string): string {
  return image.slice(image.lastIndexOf('/') + 1);
}

/** The image as it stands behind the prefix; a port in the middle of a name would be no reference, so it goes there. */
function glued(prefix: string, image: string): string {
  const whole = `${prefix}${image}`;
  const reference = parseReference(image);
  if (reference?.registry === undefined || isImageReference(whole)) return whole;
  return `${prefix}${splitPort(reference.registry).host}/${reference.path}${suffixOf(reference)}`;
}
