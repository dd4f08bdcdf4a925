/** Finds what an answer must repeat in a review that cannot be read: cut off, too long, broken somewhere. */

export interface ReviewHead {
  readonly apiVersion: string | undefined;
  readonly uid: string | undefined;
}

/** Takes the beginning of a body; returns the review's `apiVersion` and its `request.uid`, as far as they are in it. Linear in its length. */
export function recoverHead(text: string): ReviewHead {
  const head: { apiVersion: string | undefined; uid: string | undefined } = {
    apiVersion: undefined,
    uid: undefined,
  };
  const marks = /["{}[\]]/g;
  let depth = 0;
  let field = '';
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    if (mark[0] === '{' || mark[0] === '[') depth += 1;
    else if (mark[0] !== '"') depth -= 1;
    else {
      const end = endOfText(text, mark.index + 1);
      if (end < 0) return head;
      marks.lastIndex = end + 1;
      // Keys further inside are nobody's concern, and copying them all would take time.
      if (depth > 2) continue;
      const key = text.slice(mark.index + 1, end);
      if (!isKey(text, end + 1)) continue;
      if (depth === 1) field = key;
      if (depth === 1 && key === 'apiVersion') head.apiVersion ??= valueAfter(text, end + 1);
      if (depth === 2 && field === 'request' && key === 'uid') head.uid ??= valueAfter(text, end + 1);
    }
  }
  return head;
}

/** Index of the quote that ends the text that begins at `from`; -1 where there is none. */
function endOfText(text: string, from: number): number {
  for (let quote = text.indexOf('"', from); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (quote - backslashes > from && text[quote - backslashes - 1] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote;
  }
  return -1;
}

const colon = /\s*:/y;
const valueStart = /\s*:\s*"/y;

function isKey(text: string, from: number): boolean {
  colon.lastIndex = from;
  return colon.test(text);
}

function valueAfter(text: string, from: number): string | undefined {
  valueStart.lastIndex = from;
  if (!valueStart.test(text)) return undefined;
  const start = valueStart.lastIndex;
  const end = endOfText(text, start);
  try {
    return end < 0 ? undefined : (JSON.parse(text.slice(start - 1, end + 1)) as string);
  } catch {
    return undefined;
  }
}
