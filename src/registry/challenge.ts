/** Reads `WWW-Authenticate` as RFC 9110 section 11.6.1 writes it. Pure. */

/** One challenge: the scheme in lower case and its parameters with names in lower case, or its token68. */
export interface Challenge {
  readonly scheme: string;
  readonly params: ReadonlyMap<string, string>;
  readonly token68?: string;
}

/** A registry has no use for more; a header with more is hostile. */
const maxChallenges = 16;

const gap = /[ \t,]*/y;
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const token68 = /[ \t]+([A-Za-z0-9._~+/-]+=*)(?=[ \t]*(?:,|$))/y;
const schemeEnd = /[ \t]*(?:,|$)|[ \t]+(?=[^ \t=])/y;
const equals = /[ \t]*=[ \t]*/y;
const quoted = /"((?:[^"\\]|\\.)*)"/sy;
/** RFC 9110 wants a token here; registries have been seen to leave a URL unquoted. */
const bare = /[^ \t,"]+/y;

/**
 * Takes the values of every `WWW-Authenticate` header and returns their challenges in order. A value that breaks
 * the grammar counts up to the last whole challenge before the fault; the challenge with the fault is dropped.
 */
export function parseChallenges(values: string | readonly string[] | undefined): Challenge[] {
  if (values === undefined) return [];
  const list = typeof values === 'string' ? [values] : values;
  return list.flatMap(parseValue).slice(0, maxChallenges);
}

/** All of it as one text, which says the same (RFC 9110 section 5.3). */
export function challengeText(values: string | string[] | undefined): string | undefined {
  return typeof values === 'object' ? values.join(', ') : values;
}

interface OpenChallenge {
  scheme: string;
  params: Map<string, string>;
  token68?: string;
}

function parseValue(value: string): Challenge[] {
  const challenges: OpenChallenge[] = [];
  const cursor = new Cursor(value);
  for (cursor.take(gap); !cursor.atEnd; cursor.take(gap)) {
    if (!parseNext(cursor, challenges)) {
      challenges.pop();
      break;
    }
  }
  return challenges;
}

/** Reads a parameter of the last challenge, or the start of a new one; false at a fault. */
function parseNext(cursor: Cursor, challenges: OpenChallenge[]): boolean {
  const name = cursor.take(token);
  if (name === undefined) return false;
  const current = challenges.at(-1);
  if (cursor.take(equals) !== undefined) {
    const value = parameterValue(cursor);
    if (current === undefined || current.token68 !== undefined || value === undefined) return false;
    // A name must not occur twice (RFC 9110 section 11.2); the first is kept so that nothing appended can change it.
    if (!current.params.has(name.toLowerCase())) current.params.set(name.toLowerCase(), value);
    return true;
  }
  const credentials = cursor.take(token68)?.trim();
  challenges.push({
    scheme: name.toLowerCase(),
    params: new Map(),
    ...(credentials === undefined ? {} : { token68: credentials }),
  });
  return credentials !== undefined || cursor.take(schemeEnd) !== undefined;
}

function parameterValue(cursor: Cursor): string | undefined {
  const text = cursor.take(quoted);
  if (text === undefined) return cursor.take(bare);
  return text.slice(1, -1).replace(/\\(.)/gs, '$1');
}

/** A position in a text that moves over what matches there. Every pattern is sticky, so the walk is linear. */
class Cursor {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text)?.[0];
    if (match !== undefined) this.#at += match.length;
    return match;
  }
}
