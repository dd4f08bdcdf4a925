/** Edits of YAML as text, so that its comments stay. Every edit fails where it does not find what it is for. Pure. */
import { load } from 'js-yaml';

/**
 * Replaces the block that begins with the one line that is `head`, or begins with `head` and a blank; what lies deeper below belongs to it.
 * `make` gets the block's lines and returns those that take its place.
 */
export function replaceBlock(
  text: string,
  head: string,
  make: (lines: string[]) => readonly string[],
): string {
  const lines = text.split('\n');
  const { start, end } = findBlock(lines, head);
  return [...lines.slice(0, start), ...make(lines.slice(start, end)), ...lines.slice(end)].join('\n');
}

/** Adds lines below a block. */
export function addBelow(text: string, head: string, more: readonly string[]): string {
  return replaceBlock(text, head, (lines) => [...lines, ...more]);
}

/** Adds lines at the beginning of a block, right below its first one. */
export function addWithin(text: string, head: string, more: readonly string[]): string {
  return replaceBlock(text, head, ([first = '', ...rest]) => [first, ...more, ...rest]);
}

/** The value that a block gives to its key; of an item of a list, a list of it. */
export function blockValue(text: string, head: string): unknown {
  const lines = text.split('\n');
  const { start, end } = findBlock(lines, head);
  if (head.trim().startsWith('- ')) return load(lines.slice(start, end).join('\n'));
  const [key = ''] = Object.keys(load(head.trim()) as object);
  return (load(lines.slice(start, end).join('\n')) as Record<string, unknown>)[key];
}

/** Replaces the one place where `part` occurs. */
export function replaceOnce(text: string, part: string, replacement: string): string {
  const [before = '', ...rest] = text.split(part);
  if (rest.length !== 1) throw notOnce(part, rest.length);
  return before + replacement + rest[0];
}

/** Applies an edit to the documents of a file for which `isMeant` returns true; there must be one. */
export function editDocuments(
  text: string,
  isMeant: (document: string) => boolean,
  edit: (document: string) => string,
): string {
  const documents = text.split(/^---\n/m);
  if (!documents.some(isMeant)) throw new Error('expected a document that is to be edited, found none');
  return documents.map((document) => (isMeant(document) ? edit(document) : document)).join('---\n');
}

function findBlock(lines: readonly string[], head: string): { start: number; end: number } {
  const isHead = (line: string) => line === head || line.startsWith(`${head} `);
  const start = lines.findIndex(isHead);
  const count = lines.filter(isHead).length;
  if (count !== 1) throw notOnce(head, count);
  const depth = indentation(head);
  const length = lines.slice(start + 1).findIndex((line) => line.trim() === '' || indentation(line) <= depth);
  return { start, end: length < 0 ? lines.length : start + 1 + length };
}

function indentation(line: string): number {
  return line.length - line.trimStart().length;
}

function notOnce(what: string, count: number): Error {
  return new Error(`expected ${JSON.stringify(what)} once, found it ${count} times`);
}
