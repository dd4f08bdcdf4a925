/** ImageMaps: per namespace, whole image texts to whole images, after kubernetes-image-mapper. */
import { isImageReference } from '../reference.ts';
import type { Rule, Stage } from '../settle.ts';
import { circlesOf } from './circles.ts';

/** An ImageMap as the API server has it. */
export interface ImageMap {
  readonly namespace: string;
  readonly name: string;
  /** RFC 3339 in UTC; the older one of two maps wins, then the one whose name comes first. */
  readonly creationTimestamp: string;
  readonly map: readonly { readonly from: string; readonly to: string }[];
}

/** What is to be said of one ImageMap. */
export interface ImageMapFinding {
  readonly namespace: string;
  readonly name: string;
  /** The message of a rejected map, word for word the original's. A rejected map is not in force, with none of its lines. */
  readonly rejected?: string;
  /** What is odd and harmless, for people. */
  readonly notes: readonly string[];
}

interface ImageRule {
  readonly rule: Rule & { readonly object: string };
  readonly to: string;
}

/** The accepted maps of a namespace together. */
interface NamespaceRules {
  readonly byImage: Map<string, ImageRule>;
  /** What they make. It is final: one look-up for an image, as the original does. */
  readonly made: Map<string, Rule & { readonly object: string }>;
}

/** Accepts maps, older ones first, and returns their stage and a finding for each, by namespace, age and name. */
export function compileImageMaps(imageMaps: readonly ImageMap[]): {
  readonly stage: Stage;
  readonly findings: readonly ImageMapFinding[];
} {
  const namespaces = new Map<string, NamespaceRules>();
  const accepted: [ImageMap, string | undefined][] = [];
  for (const imageMap of [...imageMaps].sort(byAge)) {
    const rules = namespaces.get(imageMap.namespace) ?? { byImage: new Map(), made: new Map() };
    namespaces.set(imageMap.namespace, rules);
    const rejected = rejectionOf(imageMap, rules);
    if (rejected === undefined) accept(imageMap, rules);
    accepted.push([imageMap, rejected]);
  }
  const circles = new Map([...namespaces].map(([name, { byImage }]) => [name, circlesOf(byImage)]));
  const findings = accepted.map(([imageMap, rejected]) => {
    const { namespace, name } = imageMap;
    if (rejected !== undefined) return { namespace, name, rejected, notes: [] };
    return { namespace, name, notes: notesOf(imageMap, namespaces.get(namespace), circles.get(namespace)) };
  });
  return { stage: stageOf(namespaces), findings };
}

function byAge(a: ImageMap, b: ImageMap): number {
  return (
    compare(a.namespace, b.namespace) ||
    compare(a.creationTimestamp, b.creationTimestamp) ||
    compare(a.name, b.name)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** The message of kubernetes-image-mapper, its parts in the order of `from`. */
function rejectionOf({ namespace, name, map }: ImageMap, { byImage }: NamespaceRules): string | undefined {
  const collisions = [...lastOfEach(map)]
    .sort(([a], [b]) => compare(a, b))
    .flatMap(([from, to]) => {
      const other = byImage.get(from);
      if (other === undefined || other.to === to) return [];
      return [
        `it maps ${quoted(from)} to ${quoted(to)} but ${other.rule.object} maps ${quoted(from)} to ${quoted(other.to)}`,
      ];
    });
  if (collisions.length === 0) return undefined;
  return `imagemap ${quoted(name)} in namespace ${quoted(namespace)} was rejected: ${collisions.join(', ')}`;
}

/** Of two lines for one image in one map the last counts, as in the original. */
function lastOfEach(map: ImageMap['map']): Map<string, string> {
  return new Map(map.map(({ from, to }) => [from, to]));
}

function accept({ name, map }: ImageMap, { byImage, made }: NamespaceRules): void {
  for (const [from, to] of lastOfEach(map)) {
    const rule = { source: 'ImageMap', key: from, object: name } as const;
    if (!byImage.has(from)) byImage.set(from, { rule, to });
    if (!made.has(to) && isImageReference(to)) made.set(to, rule);
  }
}

function stageOf(namespaces: ReadonlyMap<string, NamespaceRules>): Stage {
  return ({ image, request: { namespace } }) => {
    const rules = namespaces.get(namespace ?? '');
    const maker = rules?.made.get(image);
    return maker === undefined ? rules?.byImage.get(image) : { rule: maker, stay: 'already' };
  };
}

function notesOf(
  { map }: ImageMap,
  rules: NamespaceRules | undefined,
  circles: ReadonlySet<string> | undefined,
): string[] {
  const counts = Map.groupBy(map, ({ from }) => from);
  return [...lastOfEach(map)].flatMap(([from, to]) => {
    const notes: string[] = [];
    if ((counts.get(from)?.length ?? 0) > 1)
      notes.push(`${quoted(from)} is mapped more than once, the last line counts`);
    if (!isImageReference(to)) notes.push(`${quoted(from)} stays: ${quoted(to)} is no image reference`);
    const maker = rules?.made.get(from);
    if (from === to) notes.push(`${quoted(from)} is mapped to itself, and stays`);
    else if (circles?.has(from)) notes.push(`${quoted(from)} stays: its maps lead in a circle`);
    else if (maker !== undefined)
      notes.push(`${quoted(from)} stays: imagemap ${quoted(maker.object)} maps ${quoted(maker.key)} to it`);
    return notes;
  });
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
