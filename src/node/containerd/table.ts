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
