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
  const exact = inputs.entries
    .filter(({ kind }) => kind === 'exact')
    .map(({ key, value }) => [key, value] as const);
  const mapped = acceptedLines(inputs);
  const rules = new Map([...exact, ...mapped]);
  const images: Record<string, string> = Object.create(null);
  for (const from of rules.keys()) {
    if (from === '' || from.length > maxReferenceLength) continue;
    const result = resultOf(inputs, from);
    images[from] = result === from ? '' : result;
  }
  for (const to of new Set([...exact, ...mapped].map(([, made]) => made))) {
    if (!(to in images) && isImageReference(to) && isTakenOn(to, inputs.later)) images[to] = '';
  }
  return { images, count: exact.length + mapped.size };
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

function resultOf({ table, namespace, sources }: ImageInputs, from: string): string {
  return rewriteImage(table, from, { namespace }, sources).result;
}

function isTakenOn(image: string, later: readonly Stage[]): boolean {
  return [false, true].some((hasPullSecrets) => settle(later, image, { hasPullSecrets }).result !== image);
}
