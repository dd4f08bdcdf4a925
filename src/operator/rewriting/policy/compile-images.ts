/** ImageMaps and `[EXACT]` lines as one look-up from image to what becomes of it in the end. Pure. */
import type { MapEntry } from '../../../image/imageswap/entry.ts';
import { isImageReference, maxReferenceLength } from '../../../image/reference.ts';
import { type RuleTable, rewriteImage, type SourceName } from '../../../image/rules/table.ts';
import { type Stage, settle } from '../../../image/settle.ts';

export interface ImageInputs {
  readonly table: RuleTable;
  readonly namespace: string | undefined;
  /** Those in force. */
  readonly sources: readonly SourceName[];
  /** Of the imageswap map in force. */
  readonly entries: readonly MapEntry[];
  /** The stages that come after these rules. */
  readonly later: readonly Stage[];
}

/** Each image to its result; an empty one: it stays. `count` is the number of rules. */
export interface CompiledImages {
  readonly images: Readonly<Record<string, string>>;
  readonly count: number;
}

/**
 * Chains are followed here: what a rule makes is final but for an ImageMap of what an `[EXACT]` line makes. What these rules make stays, which has to
 * be said of those images that a later rule would take on.
 */
export function compileImages(inputs: ImageInputs): CompiledImages {
  const exact = exactImages(inputs);
  const mapped = acceptedLines(inputs);
  if (mapped.size === 0) return exact;
  const images: Record<string, string> = Object.assign(Object.create(null), exact.images);
  const touched = new Set([...mapped].flat());
  for (const [from, to] of Object.entries(exact.images))
    if (touched.has(from) || touched.has(to)) images[from] = resultOf(inputs, from);
  for (const from of mapped.keys()) put(images, from, () => resultOf(inputs, from));
  for (const to of mapped.values()) if (isToBeLeft(to, images, inputs.later)) images[to] = '';
  return { images, count: exact.count + mapped.size };
}

const known = new WeakMap<readonly MapEntry[], Map<string, CompiledImages>>();

/** The same in every namespace without ImageMaps, and in most of them all but a few: compiled once for each change of the map. */
function exactImages(inputs: ImageInputs): CompiledImages {
  const { table, entries } = inputs;
  const sources = inputs.sources.filter((source) => source !== 'imageMaps');
  const bySources = known.get(entries) ?? new Map<string, CompiledImages>();
  known.set(entries, bySources);
  // Later rules decide only whether what is made has to be said to stay.
  const key = JSON.stringify([sources, table.sources.mirrors, table.sources.gilly]);
  const found = bySources.get(key);
  if (found !== undefined) return found;
  const lines = entries.filter(({ kind }) => kind === 'exact');
  const images: Record<string, string> = Object.create(null);
  for (const { key: from } of lines) put(images, from, () => resultOf({ ...inputs, sources }, from));
  for (const { value } of lines) if (isToBeLeft(value, images, inputs.later)) images[value] = '';
  const compiled = { images, count: lines.length };
  // Of the last state only: mirrors come and go.
  bySources.clear();
  bySources.set(key, compiled);
  return compiled;
}

/** No image is empty, and none is longer. */
function put(images: Record<string, string>, from: string, result: () => string): void {
  if (from !== '' && from.length <= maxReferenceLength) images[from] = result();
}

/** The lines of the accepted ImageMaps of the namespace; accepted maps agree. */
function acceptedLines({ table, namespace, sources }: ImageInputs): Map<string, string> {
  if (namespace === undefined || !sources.includes('imageMaps')) return new Map();
  const rejected = new Set(
    table.imageMaps
      .filter((finding) => finding.namespace === namespace && finding.rejected !== undefined)
      .map(({ name }) => name),
  );
  const maps = (table.sources.imageMaps ?? []).filter(
    (map) => map.namespace === namespace && !rejected.has(map.name),
  );
  return new Map(maps.flatMap(({ map }) => map.map(({ from, to }) => [from, to] as const)));
}

/** Empty where the image stays. */
function resultOf({ table, namespace, sources }: ImageInputs, from: string): string {
  const { result } = rewriteImage(table, from, { namespace }, sources);
  return result === from ? '' : result;
}

/** Some pods and images go past mirrors, so both are asked. */
function isToBeLeft(
  made: string,
  images: Readonly<Record<string, string>>,
  later: readonly Stage[],
): boolean {
  if (made in images || !isImageReference(made)) return false;
  return [false, true].some((isNeverPulled) => settle(later, made, { isNeverPulled }).result !== made);
}
