/** Puts each mirror's credentials into a folder of its own, whole or not at all, for the broker to read. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from './folders.ts';

/** One mirror's credentials by file name. */
export type CredentialFiles = Readonly<Record<string, string>>;

/** Who the folders of credentials belong to: a mirror, and of several the prefix, which may be too long for a name. */
export function credentialsOwner(mirror: string, prefix: string): string {
  if (prefix === '') return mirror;
  return `${mirror}~${createHash('sha256').update(prefix).digest('hex').slice(0, 16)}`;
}

/**
 * Returns the folder below `root` that holds exactly `files` for `owner`. Other credentials go into a new folder, `<owner>@<n>`: the
 * broker learns the folder and so both parts of a credential at once. `dropOldCredentials` takes away the former ones afterwards, whose names are not
 * used again: a broker may still look there, for the registry of before.
 */
export async function placeCredentials(root: string, owner: string, files: CredentialFiles): Promise<string> {
  const versions = await versionsOf(root, owner);
  const newest = versions.at(-1) ?? 0;
  const current = join(root, `${owner}@${newest}`);
  if (newest > 0 && (await holds(current, files))) return current;
  const next = join(root, `${owner}@${Math.max(newest + 1, Date.now())}`);
  await mkdir(next, { mode: 0o700 });
  for (const [name, content] of Object.entries(files)) await writeWhole(join(next, name), content);
  return next;
}

/** Removes every folder below `root` that is not in `used`. */
export async function dropOldCredentials(root: string, used: readonly string[]): Promise<void> {
  for (const name of await readdir(root)) {
    const dir = join(root, name);
    if (!used.includes(dir)) await rm(dir, { recursive: true, force: true });
  }
}

async function versionsOf(root: string, owner: string): Promise<number[]> {
  const names = (await readdir(root)).filter((name) => name.startsWith(`${owner}@`));
  return names.map((name) => Number(name.slice(owner.length + 1))).sort((a, b) => a - b);
}

async function holds(dir: string, files: CredentialFiles): Promise<boolean> {
  const names = await readdir(dir);
  if (names.sort().join('\n') !== Object.keys(files).sort().join('\n')) return false;
  const same = names.map(async (name) => (await readFile(join(dir, name), 'utf8')) === files[name]);
  return (await Promise.all(same)).every(Boolean);
}
