/**
 * Edits of JSON text that leave every other byte as it is. Texts are valid JSON, each byte one character (latin1), so that invalid UTF-8 in
 * strings survives too. What was inserted at the front and is removed again leaves the text from before.
 */

/** Where a member or an element stands: without the white space around it. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Member extends Span {
  readonly key: string;
  readonly value: Span;
}

/** The members of the object that opens at `open`. */
export function membersOf(text: string, open: number): Member[] {
  return itemsOf(text, open).map(({ start, end }) => {
    const keyEnd = endOfString(text, start);
    const value = trimmed(text, text.indexOf(':', keyEnd) + 1, end);
    return { key: JSON.parse(text.slice(start, keyEnd)) as string, start, end, value };
  });
}

/** The members or elements of the object or array that opens at `open`. Not recursive: depth is the file's to choose. */
export function itemsOf(text: string, open: number): Span[] {
  const ends: number[] = [];
  for (let at = open + 1, depth = 1; depth > 0; at += 1) {
    const mark = text[at];
    if (mark === undefined) throw new Error('Not JSON');
    if (mark === '"') at = endOfString(text, at) - 1;
    else if (mark === '{' || mark === '[') depth += 1;
    else if (mark === '}' || mark === ']') depth -= 1;
    if (depth === 0 || (depth === 1 && mark === ',')) ends.push(at);
  }
  const items = ends.map((end, index) => trimmed(text, (ends[index - 1] ?? open) + 1, end));
  return items.filter(({ start, end }) => start < end);
}

/** Puts `item` before all others, with the white space that stands before the first of them between the two. */
export function insertFirst(text: string, open: number, item: string): string {
  const [first] = itemsOf(text, open);
  if (first === undefined) return splice(text, { start: open + 1, end: open + 1 }, item);
  const gap = text.slice(open + 1, first.start);
  return splice(text, { start: first.start, end: first.start }, `${item},${gap}`);
}

/** Takes item number `index` out, with its comma. */
export function removeItem(text: string, open: number, index: number): string {
  const items = itemsOf(text, open);
  const [before, item, next] = [items[index - 1], items[index], items[index + 1]];
  if (item === undefined) return text;
  if (next !== undefined) return splice(text, { start: item.start, end: next.start }, '');
  return splice(text, { start: before?.end ?? item.start, end: item.end }, '');
}

/** Puts `insert` in the place of what stands there. */
export function splice(text: string, { start, end }: Span, insert: string): string {
  return text.slice(0, start) + insert + text.slice(end);
}

function trimmed(text: string, from: number, to: number): Span {
  let [start, end] = [from, to];
  while (start < end && isBlank(text, start)) start += 1;
  while (start < end && isBlank(text, end - 1)) end -= 1;
  return { start, end };
}

function isBlank(text: string, at: number): boolean {
  return ' \t\r\n'.includes(text.charAt(at));
}

/** The index after the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let quote = start;
  let backslashes: number;
  do {
    quote = text.indexOf('"', quote + 1);
    if (quote === -1) throw new Error('Not JSON');
    backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1;
  } while (backslashes % 2 === 1);
  return quote + 1;
}
