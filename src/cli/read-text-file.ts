/** Files that flags name. */
import { readFile } from 'node:fs/promises';
import { ConfigError } from '../config/problems.ts';

/** Returns the text of a file; throws a `ConfigError` with the flag's name when it cannot be read. */
export async function readTextFile(file: string, flag: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError([`${flag}: expected a readable file, got ${file} (${(error as Error).message})`]);
  }
}
