/** The imageswap map but for its `[EXACT]` lines, as the policy looks it up. Pure. */
import type { PatternRule, RegistryRule, RuleSet } from '../../../api/rewrite-rules.ts';
import { type MapEntry, withoutEndSlash } from '../../../image/imageswap/entry.ts';
import { beginningOf, madeBy } from '../../../image/imageswap/made.ts';
import { isBareHost, type Target, targetOf } from '../../../image/imageswap/target.ts';
import { isReferencePrefix } from '../../../image/reference.ts';
import { globExpression } from './glob-expression.ts';
import { notExpressible, type Unfit } from './unfit.ts';

export type CompiledLines = Pick<
  RuleSet,
  'patterns' | 'patternTargets' | 'registries' | 'targets' | 'wildcards' | 'default'
>;

export const noRule = { form: 'none', to: '' } as const;
const stays = { form: 'stay', to: '' } as const;

/** Takes the entries in force; registry lines count only beside a default, as in imageswap. */
export function compileLines(
  entries: readonly MapEntry[],
): CompiledLines & { readonly unfit: readonly Unfit[] } {
  const lines = entries.filter(({ kind }) => kind === 'registry');
  const defaultLine = lines.find(({ key }) => key === 'default');
  const patterns = patternsOf(entries);
  if (defaultLine === undefined)
    return { ...patterns, registries: {}, ...targetsOf([]), wildcards: [], default: noRule, unfit: [] };
  const moving = lines.filter(({ key }) => key !== 'noswap_wildcards');
  const named = moving.filter(({ key }) => key !== 'default');
  return {
    ...patterns,
    registries: Object.fromEntries(named.map((line) => [line.key, registryRule(line)])),
    ...targetsOf(moving),
    wildcards: wildcardsOf(lines.find(({ key }) => key === 'noswap_wildcards')),
    default: defaultRule(targetOf(defaultLine)),
    unfit: moving.flatMap(lineFault),
  };
}

function patternsOf(entries: readonly MapEntry[]): Pick<RuleSet, 'patterns' | 'patternTargets'> {
  const patterns: PatternRule[] = entries
    .filter(({ kind }) => kind === 'replace')
    .map(({ key, value }) => ({ ...globExpression(key), to: withoutEndSlash(value) }));
  return { patterns, patternTargets: namesOf(patterns.map(({ to }) => to).filter((to) => to !== '')) };
}

function registryRule(line: MapEntry): RegistryRule {
  const target = targetOf(line);
  const to = beginningOf(target, line);
  // A line that makes no image reference decides all the same: its images stay.
  if (target.value === '' || !isReferencePrefix(to)) return { ...stays, begins: '' };
  return { form: isBareHost(target) ? 'bare' : 'path', to, begins: `${to}/` };
}

function defaultRule({ value, glue }: Target): RuleSet['default'] {
  if (value === '') return noRule;
  if (glue) return isReferencePrefix(`${value}docker.io`) ? { form: 'glue', to: value } : stays;
  return isReferencePrefix(value) ? { form: 'path', to: value } : stays;
}

/** What lines make, their default's included. */
function targetsOf(lines: readonly MapEntry[]): Pick<RuleSet, 'targets'> {
  const { below, registries } = madeBy(lines);
  return { targets: { ...prefixesOf([...below.keys()]), hosts: namesOf([...registries.keys()]) } };
}

function wildcardsOf(line: MapEntry | undefined): string[] {
  return [...new Set((line?.value ?? '').split(',').filter((item) => item !== ''))];
}

/** Values whose results are image references without a port and with one not, which is more than the policy looks at. */
function lineFault(line: MapEntry): Unfit[] {
  const target = targetOf(line);
  const { value } = target;
  const keepsPorts = value !== '' && line.key !== 'default' && isBareHost(target);
  return keepsPorts && isReferencePrefix(value) !== isReferencePrefix(`${value}:1`)
    ? [notExpressible(`line ${line.line}: ${value} makes image references of some images only`)]
    : [];
}

/** As keys, which are found at once. */
export function namesOf(names: readonly string[]): Readonly<Record<string, boolean>> {
  return Object.fromEntries([...new Set(names)].map((name) => [name, true]));
}

/** Found by cutting an image at each of the lengths. */
export function prefixesOf(names: readonly string[]): {
  names: Readonly<Record<string, boolean>>;
  lengths: number[];
} {
  const lengths = new Set(names.map(({ length }) => length));
  return { names: namesOf(names), lengths: [...lengths].sort((a, b) => a - b) };
}
