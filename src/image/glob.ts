/** Shell patterns as Python's `fnmatch` reads them, without its regular expressions. Pure. */

/** One place of a pattern: any text, any one character, or one that is in a set (or, negated, is not). */
export type GlobToken = '*' | '?' | CharacterSet;

export interface CharacterSet {
  readonly negated: boolean;
  /** Code points, first and last; may be empty, also as a whole. A character by itself is a set of one. */
  readonly ranges: readonly (readonly [number, number])[];
}

/** A compiled pattern: whether it matches a whole text. Takes time in proportion to pattern times text at worst. */
export type Glob = (text: string) => boolean;

/** Compiles `*` (also matches `/`), `?`, `[seq]`, `[!seq]`; case counts, a `[` that is never closed is itself. No pattern is invalid. */
export function compileGlob(pattern: string): Glob {
  const tokens = parseGlob(pattern);
  return (text) => matches(tokens, codePoints(text));
}

/** Takes a pattern apart; each character, also one of two UTF-16 units, is one place. */
export function parseGlob(pattern: string): readonly GlobToken[] {
  const characters = [...pattern];
  const tokens: GlobToken[] = [];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? '';
    const end = character === '[' ? setEnd(characters, at) : -1;
    if (end > 0) {
      tokens.push(characterSet(characters.slice(at + 1, end)));
      at = end;
    } else if (character === '*' || character === '?') tokens.push(character);
    else tokens.push(characterSet([character]));
  }
  return tokens;
}

/** The closing bracket: one right after `[` or `[!` is a member of the set. */
function setEnd(characters: readonly string[], start: number): number {
  const first = characters[start + 1] === '!' ? start + 2 : start + 1;
  return characters.indexOf(']', first + 1);
}

/** A range whose end comes before its start is empty, as in Python since 3.9; before, it was an error. */
function characterSet(body: readonly string[]): CharacterSet {
  const negated = body[0] === '!' && body.length > 1;
  const members = codePoints(body.slice(negated ? 1 : 0).join(''));
  const hyphen = 0x2d;
  const ranges: [number, number][] = [];
  for (let at = 0; at < members.length; at += 1) {
    const from = members[at] ?? 0;
    const isRange = members[at + 1] === hyphen && at + 2 < members.length;
    ranges.push([from, isRange ? (members[at + 2] ?? 0) : from]);
    if (isRange) at += 2;
  }
  return { negated, ranges };
}

function codePoints(text: string): number[] {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0);
}

/** On a mismatch the last `*` takes one character more; earlier ones need never be taken up again. */
function matches(tokens: readonly GlobToken[], text: readonly number[]): boolean {
  let [token, at, star, taken] = [0, 0, -1, 0];
  while (at < text.length) {
    const now = tokens[token];
    if (now === '*') {
      [star, taken] = [token, at];
      token += 1;
    } else if (now !== undefined && takes(now, text[at] ?? 0)) {
      token += 1;
      at += 1;
    } else if (star >= 0) {
      taken += 1;
      [token, at] = [star + 1, taken];
    } else return false;
  }
  return tokens.slice(token).every((rest) => rest === '*');
}

/** Whether the place, which is no `*`, takes this character. */
function takes(token: Exclude<GlobToken, '*'>, character: number): boolean {
  if (token === '?') return true;
  return token.ranges.some(([from, to]) => from <= character && character <= to) !== token.negated;
}
