/** What is wrong with the rules, said once each however often they are compiled: for logs, events and metrics. Pure. */
import { mapLines } from '../image/imageswap/parse-map.ts';
import type { RuleTable } from '../image/rules/table.ts';

/** One thing that is wrong with imageswap's map, or with a registry that rules lead to. */
export interface RuleFault {
  /** For people: `line 3: expected KEY::VALUE`. */
  readonly message: string;
  /** The same for a line that stands elsewhere meanwhile, another one for another line with the same fault. */
  readonly identity: string;
}

/** Takes the rules in force and returns their faults, those of the map in the order of its lines. */
export function ruleFaults({ mapFaults, targetFaults, sources }: RuleTable): RuleFault[] {
  const map = sources.imageswap !== undefined && 'map' in sources.imageswap ? sources.imageswap.map : '';
  const lines = mapFaults.length === 0 ? [] : mapLines(map);
  return [
    ...mapFaults.map(({ line, why }) => ({
      message: line === 0 ? why : `line ${line}: ${why}`,
      identity: `${withoutLines(why)}\n${lines[line - 1]?.trim() ?? ''}`,
    })),
    ...targetFaults.map(({ source, why }) => ({
      message: `${source}: ${why}`,
      identity: `${source}\n${why}`,
    })),
  ];
}

/** Some faults name other lines. */
function withoutLines(why: string): string {
  return why.replaceAll(/\bline \d+|\bimageswap:\d+/g, '');
}

/** Those of `after` that were not there `before`; of several alike only as many as came. */
export function newFaults(before: readonly RuleFault[], after: readonly RuleFault[]): RuleFault[] {
  const left = new Map<string, number>();
  for (const { identity } of before) left.set(identity, (left.get(identity) ?? 0) + 1);
  return after.filter(({ identity }) => {
    const count = left.get(identity) ?? 0;
    left.set(identity, count - 1);
    return count <= 0;
  });
}

/** Which faults to tell now, and what to know the next time. */
export interface Telling {
  readonly tell: readonly RuleFault[];
  /** Told now or before, and still there: `told` of the next call. A fault that is mended is forgotten. */
  readonly told: readonly RuleFault[];
  /** Faults that are told by their number only. */
  readonly more: number;
}

/** Takes what was told and what is wrong now. At most `most` of what is wrong at a time is told one by one. */
export function faultsToTell(told: readonly RuleFault[], faults: readonly RuleFault[], most = 20): Telling {
  const untold = newFaults(told, faults);
  const still = newFaults(untold, faults);
  const tell = untold.slice(0, Math.max(0, most - still.length));
  return { tell, told: [...still, ...tell], more: untold.length - tell.length };
}
