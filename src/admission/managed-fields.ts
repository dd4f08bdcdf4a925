/**
 * Leaves `managedFields` out of a review before it is parsed: a third of what the API server sends, as hundreds of small objects, and nobody here reads
 * it. Pure.
 */

/** As the API server writes it, after other fields and without blanks. Quotes within texts have a backslash before them, so this is never within one. */
const start = ',"managedFields":[';
const [quote, backslash, open, close] = [0x22, 0x5c, 0x5b, 0x5d];

/** Returns the text with nothing in these lists. Those of other forms stay, and so does one that does not end. */
export function withoutManagedFields(text: string): string {
  let kept = '';
  let from = 0;
  for (let at = text.indexOf(start); at >= 0; at = text.indexOf(start, from)) {
    const first = at + start.length;
    const end = endOfList(text, first);
    if (end < 0) break;
    kept += text.slice(from, first);
    from = end;
  }
  return from === 0 ? text : kept + text.slice(from);
}

/** Where the list ends that begins before `at`; -1 where it does not. */
function endOfList(text: string, at: number): number {
  let depth = 1;
  for (let index = at; index < text.length; index += 1) {
    const character = text.charCodeAt(index);
    if (character === quote) index = endOfText(text, index + 1);
    else if (character === open) depth += 1;
    else if (character === close) depth -= 1;
    if (depth === 0) return index;
  }
  return -1;
}

/** Where the text ends that begins at `at`: at its quote, or with everything. */
function endOfText(text: string, at: number): number {
  let index = at;
  while (index < text.length && text.charCodeAt(index) !== quote)
    index += text.charCodeAt(index) === backslash ? 2 : 1;
  return index;
}
