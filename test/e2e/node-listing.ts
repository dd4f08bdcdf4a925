/** What lies below a folder, to compare it before and after. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Each path below `folder` -> its kind, mode, owners, and its content's hash or where it leads; not when it was written. */
export function listingOf(folder: string): Map<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return new Map(['.', ...paths].map((path) => [path, describe(join(folder, path))]));
}

function describe(path: string): string {
  const stat = lstatSync(path);
  const common = `${stat.mode.toString(8)} ${stat.uid}:${stat.gid}`;
  if (stat.isSymbolicLink()) return `${common} -> ${readlinkSync(path)}`;
  if (!stat.isFile()) return common;
  return `${common} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
}

/** A line for each key that only one of two has, or that differs. */
export function differences(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
  return keys
    .filter((key) => before.get(key) !== after.get(key))
    .map((key) => `${key}: ${before.get(key) ?? 'absent'} => ${after.get(key) ?? 'absent'}`.slice(0, 2000));
}
