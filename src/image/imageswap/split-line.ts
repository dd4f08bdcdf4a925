/** Takes one line of an imageswap map apart: comment, keyword, key, value. Nothing is said of what they mean. */
import type { EntryKind } from './entry.ts';

/** What stands in a line: an entry, a reason why it is none, or nothing. */
export type SplitLine =
  | {
      readonly kind: EntryKind;
      readonly key: string;
      readonly value: string;
      /** Separated by one `:`, which imageswap calls deprecated since 1.5.0. */
      readonly singleColon: boolean;
    }
  | { readonly why: string }
  | undefined;

/** Splits as imageswap 1.5.3 does: comment, blanks at the end, every other space, then `::` or the only `:`. */
export function splitLine(line: string): SplitLine {
  const text = withoutComment(line).trimEnd().replaceAll(' ', '');
  if (text === '' || text.startsWith('#')) return undefined;
  if (text.includes('#')) return { why: 'a second # is taken for a part of the value; write one comment' };
  if (/\s/.test(text)) return { why: 'a tab is taken for a part of the key or value; use spaces' };
  const pair = twoParts(text, '::') ?? twoParts(text, ':');
  if (pair === undefined) return { why: separatorFault(text) };
  const [left, value] = pair;
  const singleColon = !text.includes('::');
  for (const [keyword, kind] of keywords) {
    if (left.startsWith(keyword)) return { kind, key: left.slice(keyword.length), value, singleColon };
  }
  return { kind: 'registry', key: left, value, singleColon };
}

const keywords = [
  ['[EXACT]', 'exact'],
  ['[REPLACE]', 'replace'],
] as const;

/** A comment begins at the last `#` that does not follow another one; `#` cannot be escaped. */
function withoutComment(line: string): string {
  if (line.startsWith('#')) return '';
  for (let at = line.length - 1; at > 0; at -= 1) {
    if (line[at] === '#' && line[at - 1] !== '#') return line.slice(0, at);
  }
  return line;
}

function twoParts(text: string, separator: string): [string, string] | undefined {
  const [left, right, ...more] = text.split(separator);
  return left === undefined || right === undefined || more.length > 0 ? undefined : [left, right];
}

function separatorFault(text: string): string {
  if (text.includes('::')) return 'expected one :: between key and value, got several';
  if (text.includes(':')) return 'a port in key or value needs :: between them';
  return 'expected KEY::VALUE';
}
