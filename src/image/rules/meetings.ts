/** Sources that meet in one name: what was two images is one after rewriting. */
import { parseReference, wholeName } from '../reference.ts';
import type { Rewrite } from '../settle.ts';

/** A name, and the repositories that became it, sorted. */
export interface Meeting {
  readonly name: string;
  readonly sources: readonly string[];
}

/** Takes what became of the images seen and returns the repositories in which images of several others ended, sorted. Tags do not count. */
export function meetingsOf(rewrites: Iterable<Pick<Rewrite, 'image' | 'result'>>): Meeting[] {
  const sources = new Map<string, Set<string>>();
  for (const { image, result } of rewrites) {
    const [from, to] = [parseReference(image), parseReference(result)];
    if (image === result || from === undefined || to === undefined) continue;
    const name = wholeName(to);
    sources.set(name, (sources.get(name) ?? new Set()).add(wholeName(from)));
  }
  return [...sources]
    .filter(([, several]) => several.size > 1)
    .map(([name, several]) => ({ name, sources: [...several].sort() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
