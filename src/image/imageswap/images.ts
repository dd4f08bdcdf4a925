/** `[EXACT]` and `[REPLACE]`: rules for whole image texts. */
import { compileGlob, type Glob } from '../glob.ts';
import { isImageReference } from '../reference.ts';
import type { Rule, Stage } from '../settle.ts';
import { type MapEntry, withoutEndSlash } from './entry.ts';
import { lastSegment } from './legacy.ts';

/** `[EXACT]`: the very text. What one makes is final: another line for that very image does not take it on. */
export function exactStage(entries: readonly MapEntry[]): Stage {
  const lines = new Map<string, { readonly rule: Rule; readonly to: string }>();
  const made = new Map<string, Rule>();
  for (const { key, value, line } of entries.filter(({ kind }) => kind === 'exact')) {
    const rule: Rule = { source: 'imageswap [EXACT]', key, line };
    lines.set(key, { rule, to: value });
    if (isImageReference(value) && !made.has(value)) made.set(value, rule);
  }
  return ({ image }) => {
    const maker = made.get(image);
    return maker === undefined ? lines.get(image) : { rule: maker, stay: 'already' };
  };
}

interface Pattern {
  readonly rule: Rule;
  readonly matches: Glob;
  /** Without a slash at its end; empty: what matches stays. */
  readonly prefix: string;
}

/**
 * `[REPLACE]`: the first pattern that matches the whole text, in the order of the file, puts its prefix before the last segment. Takes time in
 * proportion to the number of patterns, which are few: they are the only rules that do. What one makes is final. An empty prefix leaves the image
 * as it is; imageswap made `app` of `quay.io/org/app` there, and a private image one of Docker Hub's.
 */
export function replaceStage(entries: readonly MapEntry[]): Stage {
  const patterns: Pattern[] = entries
    .filter(({ kind }) => kind === 'replace')
    .map(({ key, value, line }) => ({
      rule: { source: 'imageswap [REPLACE]', key, line },
      matches: compileGlob(key),
      prefix: withoutEndSlash(value),
    }));
  const made = new Map(
    patterns.filter(({ prefix }) => prefix !== '').map(({ prefix, rule }) => [prefix, rule]),
  );
  return ({ image }) => {
    const maker = made.get(image.slice(0, Math.max(0, image.lastIndexOf('/'))));
    if (maker !== undefined) return { rule: maker, stay: 'already' };
    const pattern = patterns.find(({ matches }) => matches(image));
    if (pattern === undefined) return undefined;
    const { rule, prefix } = pattern;
    return prefix === '' ? { rule, stay: 'decided' } : { rule, to: `${prefix}/${lastSegment(image)}` };
  };
}
