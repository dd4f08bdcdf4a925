/**
 * Compiles the rules in force somewhere into what the policy looks them up in. Everything that can be told before an image is known is told here:
 * chains of whole images, what a line makes, what stays. Pure; the main file of compiling.
 */
import type { RuleSet } from '../../../api/rewrite-rules.ts';
import type { MapEntry } from '../../../image/imageswap/entry.ts';
import { withoutEndSlash } from '../../../image/imageswap/entry.ts';
import { parseMap } from '../../../image/imageswap/parse-map.ts';
import { imageswapStages } from '../../../image/imageswap/stages.ts';
import type { RuleTable, SourceName } from '../../../image/rules/table.ts';
import type { Stage } from '../../../image/settle.ts';
import { chainsOf } from './chains.ts';
import { compileImages } from './compile-images.ts';
import { compileLines, noRule } from './compile-lines.ts';
import { compileGillyNames, compileMirrorNames } from './compile-names.ts';
import { concernsOf } from './concerns.ts';
import { costFault, objectFault } from './limits.ts';
import type { Unfit } from './unfit.ts';

/** What is in force: the sources that count, and a namespace whose ImageMaps do. */
export interface RuleScope {
  readonly namespace?: string | undefined;
  readonly sources: readonly SourceName[];
}

/** The rules, or why the policy cannot have them; and how many there are. */
export type CompiledRules = { readonly count: number } & (
  | { readonly rules: RuleSet }
  | { readonly unfit: Unfit }
);

/** Compiles what `rewriteImage` would apply of the table with these sources. */
export function compileRuleSet(table: RuleTable, { namespace, sources }: RuleScope): CompiledRules {
  const imageswap = sources.includes('imageswap') ? table.sources.imageswap : undefined;
  const entries = imageswap !== undefined && 'map' in imageswap ? entriesOf(imageswap) : [];
  const { unfit, ...lines } = compileLines(entries);
  const legacy = legacyRule(table, sources);
  // A default, or a prefix, decides every image: what comes after is never asked.
  const asked = lines.default.form === 'none' && legacy.form === 'none' ? sources : sources.slice(0, 0);
  const mirrors = asked.includes('mirrors') ? (table.sources.mirrors ?? []) : [];
  const gilly = asked.includes('gilly') && table.stages.gilly.length > 0 ? table.sources.gilly : undefined;
  const names = { ...compileMirrorNames(mirrors), ...compileGillyNames(gilly) };
  const later = laterStages(table, sources, entries);
  const { images, count } = compileImages({ table, namespace, sources, entries, later });
  const others = entries.filter(({ kind }) => kind !== 'exact').length;
  const total =
    count +
    others +
    new Set(Object.values(names.mirrors).map(({ to }) => to)).size +
    [legacy, names.gilly].filter(isRule).length;
  const byName =
    Object.keys(lines.registries).length > 0 ||
    Object.keys(names.mirrors).length > 0 ||
    legacy.form === 'glue' ||
    [lines.default, names.gilly].some(isRule);
  const compiled = { images, ...lines, legacy, byName, ...names };
  const rules: RuleSet = { ...compiled, concerns: concernsOf(compiled) };
  const fault = unfit[0] ?? chainsOf(rules, entries)[0] ?? costFault(rules) ?? objectFault(rules);
  return fault === undefined ? { count: total, rules } : { count: total, unfit: fault };
}

function isRule({ form }: { readonly form: string }): boolean {
  return form !== 'none';
}

const parsedMaps = new WeakMap<object, readonly MapEntry[]>();

/** Parsed once for all namespaces. */
function entriesOf(source: { readonly map: string }): readonly MapEntry[] {
  const known = parsedMaps.get(source);
  if (known !== undefined) return known;
  const { entries } = parseMap(source.map);
  parsedMaps.set(source, entries);
  return entries;
}

function legacyRule({ stages, sources }: RuleTable, counting: readonly SourceName[]): RuleSet['legacy'] {
  const { imageswap } = sources;
  if (!counting.includes('imageswap') || imageswap === undefined || !('legacyPrefix' in imageswap))
    return noRule;
  const to = withoutEndSlash(imageswap.legacyPrefix);
  if (to === '' || stages.imageswap.length === 0) return noRule;
  return { form: to.endsWith('-') ? 'glue' : 'path', to };
}

/** The stages after whole images. */
function laterStages(
  { stages, sources }: RuleTable,
  counting: readonly SourceName[],
  entries: readonly MapEntry[],
): Stage[] {
  const isLegacy = sources.imageswap !== undefined && 'legacyPrefix' in sources.imageswap;
  const imageswap = isLegacy
    ? stages.imageswap
    : imageswapStages(entries.filter(({ kind }) => kind !== 'exact'));
  return [
    ...(counting.includes('imageswap') ? imageswap : []),
    ...(counting.includes('mirrors') ? stages.mirrors : []),
    ...(counting.includes('gilly') ? stages.gilly : []),
  ];
}
