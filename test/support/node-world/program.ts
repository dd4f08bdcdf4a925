/** The executable as the image has it: compiled, beside its packages and templates. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../../..');

/** Makes it in a folder; resolves with the path of the program. */
export async function compileProgram(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  await promisify(execFile)('tsc', ['-p', 'tsconfig.build.json', '--outDir', join(folder, 'dist')], {
    cwd: root,
  });
  for (const name of ['node_modules', 'templates']) symlinkSync(join(root, name), join(folder, name));
  mkdirSync(join(folder, 'bin'));
  for (const name of ['package.json', 'bin/registry-mirror-operator'])
    copyFileSync(join(root, name), join(folder, name));
  return join(folder, 'bin/registry-mirror-operator');
}
