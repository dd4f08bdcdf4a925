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

export interface HostsPolicy {
  readonly mirror: string;
  readonly foreignLines: ForeignLines;
  readonly path: string;
}

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
  policy: HostsPolicy,
): HostsPlan {
  const text = textOf(current ?? new Uint8Array());
  const wanted = new Set(desired.map((entry) => entry.name.toLowerCase()));
  const lines = linesWith(text, [tag, ...wanted]);
  const owned = lines.filter((line) => isOwned(line, desired, policy));
  const claims = lines.filter(
    (line) => !owned.includes(line) && namesIn(line).some((name) => wanted.has(name)),
  );
  const foreign = claims.filter((line) => line.owner === undefined);
  const taken = new Set(policy.foreignLines === 'respect' ? foreign.flatMap(namesIn) : []);
  const block = blockOf(
    policy.mirror,
    desired.filter((entry) => !taken.has(entry.name.toLowerCase())),
  );
  const findings = claims.map((line) => foreignLine(line, wanted, policy.path));
  if (isInPlace(owned, block, foreign)) return { findings };
  return { content: Buffer.from(block + without(text, owned), 'latin1'), findings };
}

/** Returns the file's bytes without the lines of the mirrors for which `leaves` is true. */
export function withoutMirrors(current: Uint8Array, leaves: (mirror: string) => boolean): Buffer {
  const text = textOf(current);
  const owned = linesWith(text, [tag]).filter((line) => line.owner !== undefined && leaves(line.owner));
  return Buffer.from(without(text, owned), 'latin1');
}

/** Returns the mirrors that have a line in the file. */
export function mirrorsIn(current: Uint8Array): string[] {
  const owners = linesWith(textOf(current), [tag]).map((line) => line.owner);
  return [...new Set(owners.filter((owner) => owner !== undefined))];
}

/** A line with its line end, where it stands, and the mirror it belongs to. */
interface Line {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly owner: string | undefined;
}

/** The lines that hold one of `needles`, in any case. The others are never taken apart: a hosts file of an ad blocker has megabytes. */
function linesWith(text: string, needles: readonly string[]): Line[] {
  const pattern = new RegExp(needles.map((needle) => needle.replace(/[^a-z0-9]/gi, '\\$&')).join('|'), 'gi');
  const lines: Line[] = [];
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const start = text.lastIndexOf('\n', match.index) + 1;
    const next = text.indexOf('\n', match.index);
    const end = next === -1 ? text.length : next + 1;
    const line = text.slice(start, end);
    lines.push({ text: line, start, end, owner: ownerOf(line) });
    pattern.lastIndex = end;
  }
  return lines;
}

/**
 * Ours by its mark, or in mirror-hostess's own form for one of our very lines: what is left of it where it was killed, or where the file had
 * been replaced beneath it. It says what ours says, and leads nowhere once the mirror is gone.
 */
function isOwned(line: Line, desired: readonly HostsEntry[], { mirror, foreignLines }: HostsPolicy): boolean {
  if (line.owner !== undefined) return line.owner === mirror;
  if (foreignLines === 'respect') return false;
  return desired.some(({ address, name }) => line.text === `${address}\t${name}\n`);
}

/** In place: our lines are exactly the block, together, and no foreign line for the same name stands above them. */
function isInPlace(owned: readonly Line[], block: string, foreign: readonly Line[]): boolean {
  if (owned.map((line) => line.text).join('') !== block) return false;
  const [first] = owned;
  if (first === undefined) return true;
  const together = owned.at(-1)?.end === first.start + block.length;
  return together && !foreign.some((line) => line.start < first.start);
}

function without(text: string, lines: readonly Line[]): string {
  const starts = [0, ...lines.map((line) => line.end)];
  const ends = [...lines.map((line) => line.start), text.length];
  return starts.map((start, index) => text.slice(start, ends[index])).join('');
}

function blockOf(mirror: string, entries: readonly HostsEntry[]): string {
  if (entries.length === 0) return '';
  return [
    `${tag} begin ${mirror} (managed, do not edit)\n`,
    ...entries.map(({ address, name }) => `${address}\t${name}\t${tag} ${mirror}\n`),
    `${tag} end ${mirror}\n`,
  ].join('');
}

function ownerOf(line: string): string | undefined {
  return (markerLine.exec(line) ?? entryLine.exec(line))?.[1];
}

/** The names of a line in lower case; none for a comment. */
function namesIn(line: Line): string[] {
  const [, ...names] = (line.text.split('#', 1)[0] ?? '').trim().split(/\s+/);
  return names.map((name) => name.toLowerCase());
}

function foreignLine(line: Line, wanted: ReadonlySet<string>, path: string): Finding {
  const names = namesIn(line).filter((name) => wanted.has(name));
  return line.owner === undefined
    ? { reason: 'ForeignHostsLine', path, message: `A foreign line also names ${names}`, blocks: false }
    : {
        reason: 'NameOfOtherMirror',
        path,
        message: `Mirror ${line.owner} also names ${names}`,
        blocks: false,
      };
}

/** Latin-1 maps every byte to one character and back. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
