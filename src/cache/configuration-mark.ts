/** By what a cache tells which configuration it has taken on, and its operator whether that is the one it wrote last. */
import { createHash } from 'node:crypto';

/** Takes the text of `broker.json`; equal texts have equal marks. */
export function configurationMark(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
