/** Reads registries.conf and its drop-ins as containers/image does (pkg/sysregistriesv2): version 2, and version 1 where it is allowed. */
import { parse, type TomlTable } from 'smol-toml';

/** A `[[registry]]` table, as far as it matters to somebody else's. */
export interface Registry {
  /** `host[:port][/namespace]`, or `*.example.com`. */
  readonly prefix: string;
  readonly blocked: boolean;
  /** False where pulls go the same way without it. */
  readonly matters: boolean;
}

/** Takes the bytes of registries.conf or of a drop-in; returns undefined where containers/image would refuse them, and with them every pull. */
export function parseRegistries(content: Buffer, isDropIn: boolean): Registry[] | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
    // The TOML library there refuses a byte order mark (seen with skopeo 1.9), newer ones skip it.
    if (text.startsWith('\ufeff')) return undefined;
    const table = parse(text);
    const old = versionOne(table);
    if (old !== undefined && (isDropIn || table['registry'] !== undefined)) return undefined;
    return old ?? tablesOf(table['registry'] ?? []).map(registryOf);
  } catch {
    return undefined;
  }
}

/** True where `registry` is what decides about images of `name`, or would without one for `name` alone. */
export function covers({ prefix }: Registry, name: string): boolean {
  if (!prefix.startsWith('*.')) return prefix === name || name.startsWith(`${prefix}/`);
  const [host = ''] = name.split(/[:/]/);
  return host.endsWith(prefix.slice(1));
}

/** True where `registry` decides about some of `name`'s images, whatever there is for `name`. */
export function isWithin({ prefix }: Registry, name: string): boolean {
  return prefix.startsWith(`${name}/`);
}

function registryOf(table: TomlTable): Registry {
  const location = textOf(table['location']).replace(/\/+$/, '');
  const prefix = textOf(table['prefix']).replace(/\/+$/, '') || location;
  if (prefix === '') throw new Error('Neither prefix nor location');
  const blocked = table['blocked'] === true;
  const changes = ['insecure', 'mirror-by-digest-only'].some((key) => table[key] === true);
  const mirrors = tablesOf(table['mirror'] ?? []).length > 0;
  const moved = location !== prefix && !prefix.startsWith('*.');
  return { prefix, blocked, matters: blocked || changes || mirrors || moved };
}

function versionOne(table: TomlTable): Registry[] | undefined {
  if (table['registries'] === undefined) return undefined;
  const lists = table['registries'] as Record<string, { registries?: unknown }>;
  const listed = (key: string) => {
    const names: unknown = lists[key]?.registries ?? [];
    if (!Array.isArray(names)) throw new Error('Not an array');
    return names.map((name) => textOf(name).replace(/\/+$/, ''));
  };
  return [
    ...listed('block').map((prefix) => ({ prefix, blocked: true, matters: true })),
    ...listed('insecure').map((prefix) => ({ prefix, blocked: false, matters: true })),
  ];
}

function tablesOf(value: unknown): TomlTable[] {
  const tables =
    Array.isArray(value) && value.every((each) => typeof each === 'object' && !Array.isArray(each));
  if (!tables) throw new Error('Not an array of tables');
  return value as TomlTable[];
}

function textOf(value: unknown): string {
  if (value !== undefined && typeof value !== 'string') throw new Error('Not a string');
  return value ?? '';
}
