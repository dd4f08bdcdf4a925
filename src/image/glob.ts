/** Shell patterns as Python's `fnmatch` reads them, without its regular expressions. Pure. */

/** One place of a pattern: any text, any one character, or one for which the test holds. */
type Token = '*' | ((character: string) => boolean);

/** A compiled pattern: whether it matches a whole text. Takes time in proportion to pattern times text at worst. */
export type Glob = (text: string) => boolean;

/** Compiles `*` (also matches `/`), `?`, `[seq]`, `[!seq]`; case counts, a `[` that is never closed is itself. No pattern is invalid. */
export function compileGlob(pattern: string): Glob {
  const tokens = tokensOf(pattern);
  return (text) => matches(tokens, text);
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern[at] ?? '';
    const end = character === '[' ? setEnd(pattern, at) : -1;
    if (end > 0) {
      tokens.push(setTest(pattern.slice(at + 1, end)));
      at = end;
    } else if (character === '*') tokens.push('*');
    else if (character === '?') tokens.push(() => true);
    else tokens.push((other) => other === character);
  }
  return tokens;
}

/** The closing bracket: one right after `[` or `[!` is a member of the set. */
function setEnd(pattern: string, start: number): number {
  const first = pattern[start + 1] === '!' ? start + 2 : start + 1;
  return pattern.indexOf(']', first + 1);
}

/** A range whose end comes before its start is empty, as in Python since 3.9; before, it was an error. */
function setTest(body: string): (character: string) => boolean {
  const negated = body.startsWith('!');
  const members = negated ? body.slice(1) : body;
  const ranges: [string, string][] = [];
  for (let at = 0; at < members.length; at += 1) {
    const from = members[at] ?? '';
    const isRange = members[at + 1] === '-' && at + 2 < members.length;
    ranges.push([from, isRange ? (members[at + 2] ?? '') : from]);
    if (isRange) at += 2;
  }
  return (character) => ranges.some(([from, to]) => from <= character && character <= to) !== negated;
}

/** On a mismatch the last `*` takes one character more; earlier ones need never be taken up again. */
function matches(tokens: readonly Token[], text: string): boolean {
  let [token, at, star, taken] = [0, 0, -1, 0];
  while (at < text.length) {
    const now = tokens[token];
    if (now === '*') {
      [star, taken] = [token, at];
      token += 1;
    } else if (now?.(text[at] ?? '')) {
      token += 1;
      at += 1;
    } else if (star >= 0) {
      taken += 1;
      [token, at] = [star + 1, taken];
    } else return false;
  }
  return tokens.slice(token).every((rest) => rest === '*');
}
