/**
 * All rules in one table, compiled once for each change of any of them. Who is asked first is fixed: ImageMaps of the pod's namespace, imageswap's
 * `[EXACT]`, `[REPLACE]`, registries, its default, mirrors in services mode, gilly. An opt-out comes before all. A look-up takes time in proportion
 * to the image's length, whatever the number of ImageMaps, `[EXACT]` and registry lines and mirrors; `[REPLACE]` patterns, wildcards and gilly's
 * exclusions are gone through one by one. Imported by `src/rewriting` and `src/cli`.
 */
import { chainFaults } from '../imageswap/chains.ts';
import type { MapFault } from '../imageswap/entry.ts';
import { isLegacyPrefix, legacyStage } from '../imageswap/legacy.ts';
import { parseMap } from '../imageswap/parse-map.ts';
import { imageswapStages } from '../imageswap/stages.ts';
import { type Rewrite, type RewriteRequest, type Stage, settle } from '../settle.ts';
import { type GillySettings, gillyStage, isGillyRegistry } from './gilly.ts';
import { compileImageMaps, type ImageMap, type ImageMapFinding } from './image-maps.ts';
import { compileMirrors, type RuleMirror } from './mirrors.ts';

/** Where rules come from, in the order in which they are asked. */
export const sourceNames = ['imageMaps', 'imageswap', 'mirrors', 'gilly'] as const;

export type SourceName = (typeof sourceNames)[number];

/** Where rules come from; what is absent has none. */
export interface RuleSources {
  readonly imageMaps?: readonly ImageMap[] | undefined;
  /** The text of a map, or `IMAGE_PREFIX` in mode LEGACY. */
  readonly imageswap?: { readonly map: string } | { readonly legacyPrefix: string } | undefined;
  readonly mirrors?: readonly RuleMirror[] | undefined;
  readonly gilly?: GillySettings | undefined;
}

/** The rules in force, and what is wrong with the others. Never changed. */
export interface RuleTable {
  /** What it was compiled from. */
  readonly sources: RuleSources;
  readonly stages: Readonly<Record<SourceName, readonly Stage[]>>;
  /** Of the imageswap map, by line. */
  readonly mapFaults: readonly MapFault[];
  readonly imageMaps: readonly ImageMapFinding[];
  /** Mirrors without a rule: name and reason. */
  readonly mirrorsLeftOut: ReadonlyMap<string, string>;
  readonly targetFaults: readonly TargetFault[];
}

/** Sources that are one registry or prefix, in the order in which they are asked. */
const targetSources = ['imageswap LEGACY', 'gilly'] as const;

/** gilly's registry or the legacy prefix is none: the source has no rule. */
export interface TargetFault {
  readonly source: (typeof targetSources)[number];
  /** What was expected, and what was found. */
  readonly why: string;
}

/** Compiles rules. Never throws: what cannot be a rule is in the table's faults. */
export function compileRules(sources: RuleSources): RuleTable {
  const ofImageMaps = compileImageMaps(sources.imageMaps ?? []);
  const ofImageswap = compileImageswap(sources.imageswap);
  const ofMirrors = compileMirrors(sources.mirrors ?? []);
  const ofGilly = compileGilly(sources.gilly);
  return Object.freeze({
    sources,
    stages: {
      imageMaps: [ofImageMaps.stage],
      imageswap: ofImageswap.stages,
      mirrors: [ofMirrors.stage],
      gilly: ofGilly.stages,
    },
    mapFaults: ofImageswap.mapFaults,
    imageMaps: ofImageMaps.findings,
    mirrorsLeftOut: ofMirrors.leftOut,
    targetFaults: [...ofImageswap.targetFaults, ...ofGilly.targetFaults],
  });
}

/** The same table with these sources changed; what stays is not compiled again. */
export function recompileRules(before: RuleTable, changed: RuleSources): RuleTable {
  const after = compileRules(changed);
  const isChanged = (name: SourceName) => name in changed;
  return Object.freeze({
    sources: { ...before.sources, ...changed },
    stages: Object.fromEntries(
      sourceNames.map((name) => [name, (isChanged(name) ? after : before).stages[name]]),
    ) as RuleTable['stages'],
    mapFaults: (isChanged('imageswap') ? after : before).mapFaults,
    imageMaps: (isChanged('imageMaps') ? after : before).imageMaps,
    mirrorsLeftOut: (isChanged('mirrors') ? after : before).mirrorsLeftOut,
    targetFaults: targetSources.flatMap((source) =>
      (isChanged(source === 'gilly' ? 'gilly' : 'imageswap') ? after : before).targetFaults.filter(
        (fault) => fault.source === source,
      ),
    ),
  });
}

type Compiled = Pick<RuleTable, 'mapFaults' | 'targetFaults'> & { readonly stages: readonly Stage[] };
const nothing: Compiled = { stages: [], mapFaults: [], targetFaults: [] };

function compileImageswap(imageswap: RuleSources['imageswap']): Compiled {
  if (imageswap === undefined) return nothing;
  if ('legacyPrefix' in imageswap) return compileLegacy(imageswap.legacyPrefix);
  const { entries, faults } = parseMap(imageswap.map);
  const faulty = new Set(faults.map(({ line }) => line));
  const others = chainFaults(entries).filter(({ line }) => !faulty.has(line));
  const mapFaults = [...faults, ...others].sort((a, b) => a.line - b.line);
  return { ...nothing, stages: imageswapStages(entries), mapFaults };
}

function compileLegacy(prefix: string): Compiled {
  if (isLegacyPrefix(prefix)) return { ...nothing, stages: [legacyStage(prefix)] };
  const why = `expected the beginning of an image reference, got ${JSON.stringify(prefix)}`;
  return { ...nothing, targetFaults: [{ source: 'imageswap LEGACY', why }] };
}

function compileGilly(gilly: GillySettings | undefined): Compiled {
  if (gilly === undefined) return nothing;
  if (isGillyRegistry(gilly.registry)) return { ...nothing, stages: [gillyStage(gilly)] };
  const why = `expected a registry as host[:port][/path], got ${JSON.stringify(gilly.registry)}`;
  return { ...nothing, targetFaults: [{ source: 'gilly', why }] };
}

/**
 * Applies the rules of these sources (default: of all) to one image of a pod. The result is an image reference, or the image as it was;
 * applied again it stays.
 */
export function rewriteImage(
  table: RuleTable,
  image: string,
  request: RewriteRequest = {},
  sources: readonly SourceName[] = sourceNames,
): Rewrite {
  return rewriterOf(table, sources)(image, request);
}

/** The same for many images. */
export function rewriterOf(
  { stages }: RuleTable,
  sources: readonly SourceName[],
): (image: string, request: RewriteRequest) => Rewrite {
  const asked = sourceNames.filter((name) => sources.includes(name)).flatMap((name) => stages[name]);
  return (image, request) => settle(asked, image, request);
}
