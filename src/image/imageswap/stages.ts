/** imageswap as stages, in its own order: `[EXACT]`, `[REPLACE]`, registries, wildcards and default. Imported by `src/image/rules`. */
import type { Stage } from '../settle.ts';
import type { MapEntry } from './entry.ts';
import { fallbackStage } from './fallback.ts';
import { exactStage, replaceStage } from './images.ts';
import { registriesStage } from './registries.ts';

/** Compiles the entries of a parsed map once; the stages hold no reference to its text. */
export function imageswapStages(entries: readonly MapEntry[]): readonly Stage[] {
  return [exactStage(entries), replaceStage(entries), registriesStage(entries), fallbackStage(entries)];
}
