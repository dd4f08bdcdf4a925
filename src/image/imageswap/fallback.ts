/** `default` and `noswap_wildcards`: for images that no registry line is for. */
import type { Rule, Stage } from '../settle.ts';
import type { MapEntry } from './entry.ts';
import { isMadeForAnyHost, moved, targetOf } from './target.ts';

/**
 * Wildcards are parts of the image's text; they are few and looked for one by one. An empty default has no opinion: rules after imageswap are
 * asked. Without a default nothing is in force here.
 */
export function fallbackStage(entries: readonly MapEntry[]): Stage {
  const entry = (name: string) => entries.find(({ kind, key }) => kind === 'registry' && key === name);
  const defaultEntry = entry('default');
  if (defaultEntry === undefined) return () => undefined;
  const target = targetOf(defaultEntry);
  const noSwap = entry('noswap_wildcards');
  const wildcards = noSwap === undefined ? [] : wildcardsOf(noSwap);
  return ({ image, reference }) => {
    if (reference === undefined) return undefined;
    const wildcard = wildcards.find(({ key }) => image.includes(key));
    if (wildcard !== undefined) return { rule: wildcard, stay: 'decided' };
    if (target.value === '') return undefined;
    const { rule } = target;
    return isMadeForAnyHost(target, image)
      ? { rule, stay: 'already' }
      : { rule, to: moved(target, reference) };
  };
}

function wildcardsOf({ value, line }: MapEntry): Rule[] {
  const items = value.split(',').filter((item) => item !== '');
  return items.map((key) => ({ source: 'imageswap', key, line }));
}
