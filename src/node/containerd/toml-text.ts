/**
 * Edits of one key of one table of TOML text that leave every other byte as it is. Texts are latin1, each byte one character, so that invalid UTF-8
 * survives too. Lines are taken for what they look like: whoever edits compares what the texts mean (`differsOnlyIn`) before the result is used,
 * so that a line within a string, an inline table or a dotted key costs the edit and nothing else.
 */
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'smol-toml';
import { isTable, type Table } from './table.ts';

/** A key and the names of the tables that it stands in, outermost first. */
export interface KeyPlace {
  readonly table: readonly string[];
  readonly key: string;
}

/** Behind a line that an edit made. */
const mark = ' # registry-mirror-operator';

/** The text with that value: in its place where the key is there, else as the first line of its table, else in a table at the end. */
export function withText(text: string, { table, key }: KeyPlace, value: string): string {
  const lines = linesOf(text);
  const header = lines.findIndex((line) => isHeader(line, table));
  const line = `${key} = ${JSON.stringify(value)}`;
  if (header === -1)
    return `${ended(text, eolOf(text))}[${formatHeader(table)}]${eolOf(text)}  ${line}${mark}${eolOf(text)}`;
  const at = keyLine(lines, header, key);
  if (at !== -1)
    return [...lines.slice(0, at), withValue(lines[at] ?? '', key, value), ...lines.slice(at + 1)].join('');
  const [top = ''] = lines.slice(header);
  const indent = /^[ \t]*/.exec(top)?.[0] ?? '';
  const inserted = `${indent}  ${line}${mark}${eolOf(top, eolOf(text))}`;
  return [...lines.slice(0, header), ended(top, eolOf(text)), inserted, ...lines.slice(header + 1)].join('');
}

/** The text without the key, and without its table where that was all it held and `keepsTable` is false. */
export function withoutText(text: string, { table, key }: KeyPlace, keepsTable: boolean): string {
  const lines = linesOf(text);
  const header = lines.findIndex((line) => isHeader(line, table));
  const at = header === -1 ? -1 : keyLine(lines, header, key);
  if (at === -1) return text;
  const rest = [...lines.slice(0, at), ...lines.slice(at + 1)];
  const isEmpty = rest.slice(header + 1, bodyEnd(rest, header)).every((line) => line.trim() === '');
  return (isEmpty && !keepsTable ? [...rest.slice(0, header), ...rest.slice(header + 1)] : rest).join('');
}

/** True where both texts are TOML and mean the same but for that key and the tables that exist for it alone. */
export function differsOnlyIn(before: string, after: string, place: KeyPlace): boolean {
  const [one, other] = [parseText(before), parseText(after)];
  if (one === undefined || other === undefined) return false;
  return isDeepStrictEqual(without(one, place), without(other, place));
}

/** What the key holds; undefined where it is not there, or the text is not TOML. */
export function valueIn(text: string, { table, key }: KeyPlace): unknown {
  let at: unknown = parseText(text);
  for (const name of [...table, key]) at = isTable(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  return at;
}

/** True where the table is there, whatever is in it. */
export function hasTable(text: string, table: readonly string[]): boolean {
  const [key = ''] = table.slice(-1);
  return isTable(valueIn(text, { table: table.slice(0, -1), key }));
}

export function isToml(text: string): boolean {
  return parseText(text) !== undefined;
}

function parseText(text: string): Table | undefined {
  try {
    return parse(Buffer.from(text, 'latin1').toString(), { integersAsBigInt: 'asNeeded' });
  } catch {
    return undefined;
  }
}

function without(content: Table, { table: [name, ...inner], key }: KeyPlace): Table {
  const copy: Record<string, unknown> = { ...content };
  if (name === undefined) {
    delete copy[key];
    return copy;
  }
  const child = Object.hasOwn(copy, name) ? copy[name] : undefined;
  if (!isTable(child)) return copy;
  const rest = without(child, { table: inner, key });
  if (Object.keys(rest).length === 0) delete copy[name];
  else copy[name] = rest;
  return copy;
}

/** Each with its end of line; joined they are the text. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function isHeader(line: string, table: readonly string[]): boolean {
  const header = /^[ \t]*\[(?!\[)[^\r\n]*/.exec(line)?.[0];
  if (header === undefined) return false;
  const names: string[] = [];
  for (let at = parseText(header); at !== undefined; ) {
    const [name, ...others]: string[] = Object.keys(at);
    if (others.length > 0) return false;
    if (name === undefined) break;
    names.push(name);
    const inner: unknown = at[name];
    at = isTable(inner) ? inner : undefined;
  }
  return isDeepStrictEqual(names, table);
}

/** Where the table's lines end: at the next header. */
function bodyEnd(lines: readonly string[], header: number): number {
  const next = lines.findIndex((line, at) => at > header && /^[ \t]*\[/.test(line));
  return next === -1 ? lines.length : next;
}

function keyLine(lines: readonly string[], header: number, key: string): number {
  const end = bodyEnd(lines, header);
  return lines.findIndex((line, at) => at > header && at < end && valuePattern(key).test(line));
}

/** A line with the key and a plain string; groups: what stands before the string, and behind it. */
function valuePattern(key: string): RegExp {
  return new RegExp(
    `^([ \\t]*(?:${key}|"${key}"|'${key}')[ \\t]*=[ \\t]*)(?:"[^"\\\\\\r\\n]*"|'[^'\\r\\n]*')(.*)$`,
    's',
  );
}

function withValue(line: string, key: string, value: string): string {
  return line.replace(
    valuePattern(key),
    (_, before: string, behind: string) => `${before}${JSON.stringify(value)}${behind}`,
  );
}

function formatHeader(table: readonly string[]): string {
  return table.map((name) => (/^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name))).join('.');
}

function eolOf(text: string, otherwise = '\n'): string {
  return /\r?\n/.exec(text)?.[0] ?? otherwise;
}

function ended(text: string, eol: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}${eol}`;
}
