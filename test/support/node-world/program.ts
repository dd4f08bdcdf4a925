/** The executable as the image has it: compiled, beside its packages and templates. */
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { compileTo } from '../compile.ts';

const root = join(import.meta.dirname, '../../..');

/** Makes it in a folder; resolves with the path of the program. */
export async function compileProgram(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  await compileTo(join(folder, 'dist'));
  for (const name of ['node_modules', 'templates']) symlinkSync(join(root, name), join(folder, name));
  mkdirSync(join(folder, 'bin'));
  for (const name of ['package.json', 'bin/registry-mirror-operator'])
    copyFileSync(join(root, name), join(folder, name));
  return join(folder, 'bin/registry-mirror-operator');
}
