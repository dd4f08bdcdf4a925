/** Finds Prometheus and promtool, building them when they are not there. */
import { join } from 'node:path';
import { builtFolder } from '../go/built-folder.ts';

/** Returns the paths of both; the first time this takes 2 to 3 minutes. */
export async function prometheusPrograms(
  signal?: AbortSignal,
): Promise<{ readonly prometheus: string; readonly promtool: string }> {
  const folder = await builtFolder(join(import.meta.dirname, 'build'), 'Prometheus', signal);
  return { prometheus: join(folder, 'prometheus'), promtool: join(folder, 'promtool') };
}
