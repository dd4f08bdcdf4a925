/** Shell patterns as the policy looks them up: a beginning, and a regular expression of RE2 for the rest. Pure. */
import { type CharacterSet, type GlobToken, parseGlob } from '../../../image/glob.ts';

/** What a text must begin with, and the expression that it must match besides; an empty one asks nothing more. */
export interface GlobExpression {
  readonly begins: string;
  readonly matches: string;
}

/** Takes a pattern of `fnmatch`. Only one that is a beginning and a star needs no expression, which would be compiled for each image anew. */
export function globExpression(pattern: string): GlobExpression {
  const tokens = parseGlob(pattern);
  const literal = tokens.findIndex((token) => literalOf(token) === undefined);
  const begins = tokens.slice(0, literal < 0 ? tokens.length : literal).map(literalOf);
  const rest = literal < 0 ? [] : tokens.slice(literal);
  const isBeginning = rest.length > 0 && rest.every((token) => token === '*');
  return { begins: begins.join(''), matches: isBeginning ? '' : expressionOf(tokens) };
}

/** The whole pattern as an expression. */
export function wholeExpression(pattern: string): string {
  return expressionOf(parseGlob(pattern));
}

function expressionOf(tokens: readonly GlobToken[]): string {
  return `^(?s:${tokens.map(part).join('')})$`;
}

/** Whether the pattern matches any text at all that begins with `beginning`. */
export function canMatchBelow(pattern: string, beginning: string): boolean {
  const tokens = parseGlob(pattern);
  let states = closed(new Set([0]), tokens);
  for (const character of beginning) states = closed(stepped(states, tokens, character), tokens);
  return states.size > 0;
}

type States = ReadonlySet<number>;

/** A star may take nothing. */
function closed(states: Set<number>, tokens: readonly GlobToken[]): States {
  for (const state of states) if (tokens[state] === '*') states.add(state + 1);
  return states;
}

function stepped(states: States, tokens: readonly GlobToken[], character: string): Set<number> {
  const next = new Set<number>();
  for (const state of states) {
    const token = tokens[state];
    if (token === '*') next.add(state);
    else if (token !== undefined && takes(token, character.codePointAt(0) ?? 0)) next.add(state + 1);
  }
  return next;
}

function takes(token: '?' | CharacterSet, character: number): boolean {
  if (token === '?') return true;
  return token.ranges.some(([from, to]) => from <= character && character <= to) !== token.negated;
}

/** The only character that the place takes. */
function literalOf(token: GlobToken): string | undefined {
  if (token === '*' || token === '?' || token.negated || token.ranges.length !== 1) return undefined;
  const [[from, to]] = token.ranges as readonly [readonly [number, number]];
  return from === to ? String.fromCodePoint(from) : undefined;
}

function part(token: GlobToken): string {
  if (token === '*') return '.*';
  if (token === '?') return '.';
  const literal = literalOf(token);
  return literal === undefined ? classOf(token) : escaped(literal);
}

const lastCodePoint = 0x10ffff;

function classOf({ negated, ranges }: CharacterSet): string {
  const filled = ranges.filter(([from, to]) => from <= to);
  // RE2 has no empty class.
  if (filled.length === 0) return negated ? '.' : `[^${range([0, lastCodePoint])}]`;
  return `[${negated ? '^' : ''}${filled.map(range).join('')}]`;
}

function range([from, to]: readonly [number, number]): string {
  const [first, last] = [from, to].map((point) => escaped(String.fromCodePoint(point)));
  return from === to ? `${first}` : `${first}-${last}`;
}

/** RE2 takes a backslash before any punctuation of ASCII. */
function escaped(character: string): string {
  if (/[A-Za-z0-9/_:]/.test(character)) return character;
  if (/[!-~]/.test(character)) return `\\${character}`;
  return `\\x{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
