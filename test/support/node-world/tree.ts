/** What a folder of a node is and what lies in it: type, mode, owner, content or target of each path. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export function treeOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(['.', ...names].map((name) => [name, describe(join(folder, name))]));
}

/** The paths, or other keys, that differ, with what each is in either. */
export function differences<T>(
  one: Readonly<Record<string, T>>,
  other: Readonly<Record<string, T>>,
): Record<string, readonly [T | undefined, T | undefined]> {
  const paths = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return Object.fromEntries(
    paths.filter((path) => one[path] !== other[path]).map((path) => [path, [one[path], other[path]]]),
  );
}

/** When each path last changed, in ms; what has no time of its own to change is not there. */
export function timesOf(folder: string): Record<string, number> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(names.map((name) => [name, lstatSync(join(folder, name)).ctimeMs]));
}

function describe(path: string): string {
  const stat = lstatSync(path);
  const attributes = `${(stat.mode & 0o7777).toString(8)} ${stat.uid}:${stat.gid}`;
  if (stat.isSymbolicLink()) return `link ${attributes} ${readlinkSync(path)}`;
  if (!stat.isFile()) return `${stat.isDirectory() ? 'folder' : 'other'} ${attributes}`;
  return `file ${attributes} ${readFileSync(path, 'latin1')}`;
}
