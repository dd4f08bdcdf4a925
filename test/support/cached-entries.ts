/** What nginx has in a cache folder, read from its files: the key and the answer that was kept under it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CachedEntry {
  readonly key: string;
  readonly status: number;
  /** Headers as the broker sent them. */
  readonly headers: string;
  readonly body: Buffer;
}

/** All entries below `cacheDir`; what nginx removes meanwhile is left out. */
export function cachedEntries(cacheDir: string): CachedEntry[] {
  return readdirSync(cacheDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap((entry) => {
      try {
        return parse(readFileSync(join(entry.parentPath, entry.name)));
      } catch {
        return [];
      }
    });
}

/** A binary head, `\nKEY: ...\n`, the answer's head, and its body. */
function parse(file: Buffer): CachedEntry[] {
  const keyAt = file.indexOf('\nKEY: ');
  const headAt = file.indexOf('\n', keyAt + 1) + 1;
  const bodyAt = file.indexOf('\r\n\r\n', headAt) + 4;
  if (keyAt < 0 || headAt === 0 || bodyAt < 4) return [];
  const headers = file.toString('latin1', headAt, bodyAt);
  const key = file.toString('latin1', keyAt + 6, headAt - 1);
  return [
    { key, status: Number(/^HTTP\/\S+ (\d+)/.exec(headers)?.[1]), headers, body: file.subarray(bodyAt) },
  ];
}
