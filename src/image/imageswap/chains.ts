/** Lines of an imageswap map that stand in each other's way: each is harmless, and reported. */
import { parseReference } from '../reference.ts';
import { ruleName, type Stage, settle } from '../settle.ts';
import type { MapEntry, MapFault } from './entry.ts';
import { imageswapStages } from './stages.ts';

/** Takes the entries in force and returns what is wrong between them, in their order: circles, and `[EXACT]` lines that never apply. */
export function chainFaults(entries: readonly MapEntry[]): MapFault[] {
  const exact = entries.filter(({ kind }) => kind === 'exact');
  const makers = new Map(exact.map((entry) => [entry.value, entry]));
  const registries = entries.filter(({ kind }) => kind === 'registry');
  const keys = new Set(registries.map(({ key }) => key));
  const stages = imageswapStages(registries);
  return [
    ...exact.flatMap((entry) => shadowed(entry, makers.get(entry.key))),
    ...registries.filter((entry) => leadsOn(entry, keys)).flatMap((entry) => circleOf(stages, entry)),
  ];
}

function shadowed({ key, value, line }: MapEntry, maker: MapEntry | undefined): MapFault[] {
  if (maker === undefined || key === value) return [];
  const why = `never applies: ${key} is what line ${maker.line} makes, and stays`;
  return [{ line, why }];
}

/** Only lines that move to a registry with a line of its own can be in a circle. */
function leadsOn({ value }: MapEntry, keys: ReadonlySet<string>): boolean {
  const registry = parseReference(`${value}/x`)?.registry ?? 'docker.io';
  return value !== '' && (keys.has(registry) || keys.has(registry.replace(/:\d+$/, '')));
}

function circleOf(stages: readonly Stage[], { key, line }: MapEntry): MapFault[] {
  const { outcome, rule } = settle(stages, `${key}/x/y`);
  if (outcome !== 'circle' || rule === undefined) return [];
  return [
    {
      line,
      why: `${ruleName(rule)} and others lead in a circle or have no end; images of ${key} stay unchanged`,
    },
  ];
}
