/** The sources as `npm run build` compiles them; their types are checked by `make check`. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../..');

/** Writes them into a folder, which is made. */
export async function compileTo(folder: string): Promise<void> {
  const args = ['-p', 'tsconfig.build.json', '--noCheck', '--outDir', folder];
  await promisify(execFile)('tsc', args, { cwd: root });
}
