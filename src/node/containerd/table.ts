import { parse } from 'smol-toml';

/** What a TOML file may hold where one looks for something else. */
export type Table = Readonly<Record<string, unknown>>;

/** A text that is not empty. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function tableIn(tables: Table, name: string): Table | undefined {
  const value = Object.hasOwn(tables, name) ? tables[name] : undefined;
  return isTable(value) ? value : undefined;
}

export function tableOf(value: unknown): Table {
  return isTable(value) ? value : {};
}

export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** No program's configuration goes so deep; a text that does would end whoever walks through it. */
const deepest = 64;

/** Takes the text of a TOML file; throws where it is none, or goes deeper than anything that is meant. */
export function parseToml(text: string): Table {
  const content = parse(text, { integersAsBigInt: 'asNeeded' });
  let level: unknown[] = [content];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > deepest) throw new TypeError(`more than ${deepest} tables deep`);
    level = level.flatMap((each) => (Array.isArray(each) ? each : Object.values(tableOf(each))));
  }
  return content;
}
