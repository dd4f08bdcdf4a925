/** What a cache holds, read from the files of nginx. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The keys of everything nginx keeps below `dir`. */
export function cachedKeys(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^[0-9a-f]{32}$/.test(entry.name))
    .map((file) => {
      const head = readFileSync(join(file.parentPath, file.name)).subarray(0, 4096).toString('latin1');
      return /\nKEY: ([^\n]*)\n/.exec(head)?.[1] ?? '';
    });
}
