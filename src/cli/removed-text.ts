/** What `purge` says of what it removed. Pure. */
import type { PurgeResult } from '../cache/purge-request.ts';
import { sizeText } from './size-text.ts';

/** `removed 3 files, 12 MiB`. */
export function removedText({ removed, bytes }: PurgeResult): string {
  return `removed ${removed} ${removed === 1 ? 'file' : 'files'}, ${sizeText(bytes)}`;
}
