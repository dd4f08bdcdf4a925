/**
 * Plans the hosts file: one marked block per mirror, every other byte kept. Pure; works on bytes, because hosts files hold CRLF, Latin-1
 * and worse.
 *
 * The block stands at the **top**. glibc and Go hand out the addresses of *all* lines that name a host, in file order (then sorted by RFC 6724,
 * which keeps the order of equals); musl and older ones use the first. So the first line is the one that is tried first, and a prefix never
 * meets a file without a final newline: taking it off gives exactly the bytes from before.
 *
 * Every line of ours carries its owner by itself (markers and a trailing comment, which all resolvers ignore), so that a block without its
 * end, a second copy or lines in between heal without eating a line that is not ours.
 */
import type { Finding } from './finding.ts';

/** One line: an IPv4 or IPv6 address (no brackets) and the name that resolves to it. */
export interface HostsEntry {
  readonly address: string;
  readonly name: string;
}

/** Who wins a name that a foreign line has too: `override` puts ours first, `respect` writes no line for it. */
export type ForeignLines = 'override' | 'respect';

export interface HostsPlan {
  /** The whole new content; undefined when nothing changes. */
  readonly content?: Buffer;
  readonly findings: readonly Finding[];
}

const tag = '# registry-mirror-operator:';
const mirrorName = '([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)';
const markerLine = new RegExp(`^${tag} (?:begin|end) ${mirrorName}(?: \\(.*\\))?\\s*$`);
const entryLine = new RegExp(`^\\s*[^#\\s][^#]*${tag} ${mirrorName}\\s*$`);

/**
 * Takes the file's bytes (undefined: there is none), the lines wanted for `policy.mirror` (none: its block goes) and returns the new bytes, if
 * they differ, and the foreign lines that name the same hosts.
 */
export function planHostsFile(
  current: Uint8Array | undefined,
  desired: readonly HostsEntry[],
  policy: { readonly mirror: string; readonly foreignLines: ForeignLines; readonly path: string },
): HostsPlan {
  const lines = splitLines(current ?? new Uint8Array());
  const others = lines.filter((line) => ownerOf(line) !== policy.mirror);
  const wanted = new Set(desired.map((entry) => entry.name.toLowerCase()));
  const claims = others.filter((line) => namesIn(line).some((name) => wanted.has(name)));
  const findings = claims.map((line) => foreignLine(line, wanted, policy.path));
  const foreign = claims.filter((line) => ownerOf(line) === undefined);
  const taken = new Set(policy.foreignLines === 'respect' ? foreign.flatMap(namesIn) : []);
  const block = blockOf(
    policy.mirror,
    desired.filter((entry) => !taken.has(entry.name.toLowerCase())),
  );
  if (isInPlace(lines, block, policy.mirror, foreign)) return { findings };
  return { content: Buffer.from(block.join('') + others.join(''), 'latin1'), findings };
}

/** Returns the file's bytes without the lines of the mirrors for which `leaves` is true. */
export function withoutMirrors(current: Uint8Array, leaves: (mirror: string) => boolean): Buffer {
  const kept = splitLines(current).filter((line) => {
    const owner = ownerOf(line);
    return owner === undefined || !leaves(owner);
  });
  return Buffer.from(kept.join(''), 'latin1');
}

/** Returns the mirrors that have a line in the file. */
export function mirrorsIn(current: Uint8Array): string[] {
  const owners = splitLines(current).map(ownerOf);
  return [...new Set(owners.filter((owner) => owner !== undefined))];
}

/** In place: our lines are exactly the block, together, and no foreign line for the same name stands above them. */
function isInPlace(
  lines: readonly string[],
  block: readonly string[],
  mirror: string,
  foreign: readonly string[],
): boolean {
  const first = lines.findIndex((line) => ownerOf(line) === mirror);
  const owned = lines.filter((line) => ownerOf(line) === mirror);
  if (owned.length !== block.length) return false;
  if (first === -1) return true;
  const together = block.every((line, index) => lines[first + index] === line);
  return together && !lines.slice(0, first).some((line) => foreign.includes(line));
}

function blockOf(mirror: string, entries: readonly HostsEntry[]): string[] {
  if (entries.length === 0) return [];
  return [
    `${tag} begin ${mirror} (managed, do not edit)\n`,
    ...entries.map(({ address, name }) => `${address}\t${name}\t${tag} ${mirror}\n`),
    `${tag} end ${mirror}\n`,
  ];
}

function ownerOf(line: string): string | undefined {
  if (!line.includes(tag)) return undefined;
  return (markerLine.exec(line) ?? entryLine.exec(line))?.[1];
}

/** The names of a line in lower case; none for comments and empty lines. */
function namesIn(line: string): string[] {
  const [, ...names] = (line.split('#', 1)[0] ?? '').trim().split(/\s+/);
  return names.map((name) => name.toLowerCase());
}

function foreignLine(line: string, wanted: ReadonlySet<string>, path: string): Finding {
  const names = namesIn(line).filter((name) => wanted.has(name));
  const owner = ownerOf(line);
  return owner === undefined
    ? { reason: 'ForeignHostsLine', path, message: `A foreign line also names ${names}`, blocks: false }
    : { reason: 'NameOfOtherMirror', path, message: `Mirror ${owner} also names ${names}`, blocks: false };
}

/** Lines with their line ends; Latin-1 maps every byte to one character and back. */
function splitLines(bytes: Uint8Array): string[] {
  return (
    Buffer.from(bytes)
      .toString('latin1')
      .match(/[^\n]*\n|[^\n]+$/g) ?? []
  );
}
