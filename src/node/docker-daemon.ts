/**
 * Plans dockerd's `registry-mirrors` in daemon.json, which it asks before docker.io: our URL first, every other byte kept. Pure.
 *
 * The file is shared by the mirrors of docker.io. Whose a URL is stands in the journal's record (`urls`); where that is lost, `known` tells this
 * mirror's. A URL that somebody else put there is not ours and stays. dockerd reads the file again on SIGHUP (moby daemon/reload.go), but keeps its
 * mirrors where the key is not in it: the last of ours leaves an empty list, and once dockerd has been told of that the key goes too, or is `null`
 * again, which dockerd takes for none.
 */
import { type DeleteAction, reloadAfter, type WriteAction } from './action.ts';
import type { FileState } from './files.ts';
import { type Finding, unusablePath } from './finding.ts';
import type { FileRecord } from './journal.ts';
import { insertFirst, type Member, membersOf, removeItem, type Span, splice } from './json-text.ts';
import type { TargetPlan } from './managed-file.ts';

export const daemonFile = '/etc/docker/daemon.json';

const key = 'registry-mirrors';

interface SharedInput {
  /** The journal's record of `daemonFile`, if there is one. */
  readonly record: FileRecord | undefined;
  readonly read: (path: string) => FileState;
}

export interface DockerDaemonInput extends SharedInput {
  readonly mirror: string;
  /** What dockerd is to ask first: `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** The arguments of the dockerd that runs, where one does. */
  readonly commandLine?: readonly string[];
}

export interface DockerDaemonRemoval extends SharedInput {
  /** True for the mirrors whose URLs go. */
  readonly leaves: (mirror: string) => boolean;
  /** URLs of theirs that the journal may have lost. */
  readonly known?: readonly string[];
  /** dockerd was not told yet of what the file holds. */
  readonly owed?: boolean;
  /** The key goes without an empty list before it: dockerd does not start where it stands beside its argument. */
  readonly atOnce?: boolean;
}

/** Returns what makes `url` the first mirror and takes out this mirror's other ones. */
export function planDockerDaemon(input: DockerDaemonInput): TargetPlan {
  const { mirror, url, record, read } = input;
  const state = read(daemonFile);
  const flagged = refuseFlags(input.commandLine ?? []);
  if (flagged !== undefined) {
    const removal = planDockerDaemonRemoval({
      leaves: (each) => each === mirror,
      record,
      read,
      atOnce: true,
    });
    return { actions: removal.actions, findings: [flagged, ...removal.findings] };
  }
  const refusal = unusablePath(daemonFile, state);
  if (refusal !== undefined) return { actions: [], findings: [refusal] };
  const current = state.kind === 'file' ? state.content : undefined;
  const text = current?.toString('latin1') ?? '';
  if (text.trim() === '')
    return changed(written(current, `${JSON.stringify({ [key]: [url] })}\n`, { [url]: mirror }));
  const daemon = parse(text);
  if ('problem' in daemon) return { actions: [], findings: [unparsable(daemon.problem)] };
  const owned = ownedBy(record);
  const stale = urlsOf(owned, (owner) => owner === mirror).filter((each) => !same(each, url));
  const after = first(without(daemon, stale, owned), url, owned).text;
  return after === text ? { actions: [], findings: [] } : changed(written(current, after, { [url]: mirror }));
}

/** Returns what takes the URLs of the mirrors that leave out of the file; with the last one the file goes if it was made for them. */
export function planDockerDaemonRemoval({
  leaves,
  known = [],
  record,
  read,
  owed = false,
  atOnce = false,
}: DockerDaemonRemoval): TargetPlan {
  const state = read(daemonFile);
  const forget =
    record === undefined ? [] : [{ do: 'forget' as const, path: daemonFile, after: [daemonFile] }];
  if (state.kind !== 'file') {
    const refusal = record === undefined ? undefined : unusablePath(daemonFile, state);
    return refusal === undefined ? { actions: forget, findings: [] } : { actions: [], findings: [refusal] };
  }
  const { content: expected } = state;
  const text = expected.toString('latin1');
  const owned = ownedBy(record);
  const daemon = parse(text);
  if ('problem' in daemon) {
    const ours = [...urlsOf(owned, () => true), ...known].some((url) => text.includes(url));
    return ours ? { actions: [], findings: [unparsable(daemon.problem)] } : { actions: forget, findings: [] };
  }
  const after = withoutKey(without(daemon, [...urlsOf(owned, leaves), ...known], owned), record, owned);
  const staying = urlsOf(owned, (mirror) => !leaves(mirror));
  const rest = after.mirrors.some((each) => has(staying, each)) ? [] : forget;
  if (after.text === text) return { actions: rest, findings: [] };
  if (record !== undefined && !atOnce && daemon.mirrors.length > 0 && after.array === undefined)
    return changed(written(expected, emptied(daemon).text, {}));
  if (daemon.mirrors.length === 0 && owed) return { actions: [], findings: [] };
  const empty = rest.length > 0 && after.members.length === 0;
  const change = (empty && withoutObject(record, expected)) || written(expected, after.text, {});
  return { actions: [change, ...rest, ...reloadAfter('dockerd', [change])], findings: [] };
}

/** The mirrors that the file leads dockerd to; all that the record names, where the file cannot be read as such, or has none of them. */
export function mirrorsInDaemon(record: FileRecord, state: FileState): string[] {
  const all = Object.entries(record.urls ?? {});
  const daemon = state.kind === 'file' ? parse(state.content.toString('latin1')) : undefined;
  const mirrors = daemon === undefined || 'problem' in daemon ? [] : daemon.mirrors;
  const there = all.filter(([url]) => has(mirrors, url));
  return (there.length > 0 ? there : all).map(([, mirror]) => mirror);
}

/** The text without an empty list that stands there because of us. */
function withoutKey(daemon: Daemon, record: FileRecord | undefined, owned: Owned): Daemon {
  const isEmpty = daemon.array !== undefined && daemon.mirrors.length === 0;
  return record !== undefined && owned.before !== 'list' && isEmpty ? withoutList(daemon, owned) : daemon;
}

/** The text with an empty list. */
function emptied(daemon: Daemon): Daemon {
  if (daemon.mirrors.length === 0 || daemon.array === undefined) return daemon;
  return emptied(open(removeItem(daemon.text, daemon.array, 0)));
}

/** The way back to no file, or to one without an object in it, which dockerd takes for `{}` (since 23.0). */
function withoutObject(
  record: FileRecord | undefined,
  expected: Buffer,
): WriteAction | DeleteAction | undefined {
  if (record?.original.kind === 'absent') return { do: 'delete', path: daemonFile, expected };
  const text = Buffer.from(record?.original.content ?? '{}', 'base64').toString('latin1');
  return record !== undefined && text.trim() === '' ? written(expected, text, {}) : undefined;
}

function changed(write: WriteAction): TargetPlan {
  return { actions: [write, ...reloadAfter('dockerd', [write])], findings: [] };
}

function written(
  expected: Buffer | undefined,
  text: string,
  urls: Readonly<Record<string, string>>,
): WriteAction {
  const record = { kind: 'docker-daemon' as const, urls };
  return { do: 'write', path: daemonFile, content: Buffer.from(text, 'latin1'), expected, record };
}

/** A text that is as dockerd wants it, taken apart. */
interface Daemon {
  readonly text: string;
  /** Where its object opens: after a byte order mark or white space. */
  readonly root: number;
  readonly members: readonly Member[];
  /** Where the array of mirrors opens, if there is one. */
  readonly array: number | undefined;
  /** What stands in its place: `null`. */
  readonly none: Span | undefined;
  readonly mirrors: readonly string[];
}

/** The URLs that are ours, each with its mirror. */
interface Owned {
  readonly urls: readonly (readonly [url: string, mirror: string])[];
  /** What the key had in the file before us. */
  readonly before: 'list' | 'null' | 'nothing';
}

/** The URL in front of all that are not ours; ours among each other are left as they are, and so is one that somebody else wrote. */
function first(daemon: Daemon, url: string, owned: Owned): Daemon {
  const ours = urlsOf(owned, () => true);
  const at = daemon.mirrors.findIndex((each) => same(each, url));
  if (at !== -1 && (!has(ours, url) || daemon.mirrors.slice(0, at).every((each) => has(ours, each))))
    return daemon;
  const { text, root, array, none } = at === -1 ? daemon : without(daemon, [url], owned);
  const item = JSON.stringify(url);
  if (array !== undefined) return open(insertFirst(text, array, item));
  if (none !== undefined) return open(splice(text, none, `[${item}]`));
  return open(insertFirst(text, root, `${JSON.stringify(key)}: [${item}]`));
}

/** The text without those URLs, and without the list once it is empty and was not there before us. */
function without(daemon: Daemon, urls: readonly string[], owned: Owned): Daemon {
  const at = daemon.mirrors.findIndex((each) => has(urls, each));
  if (at === -1 || daemon.array === undefined) return daemon;
  if (daemon.mirrors.length > 1 || owned.before === 'list')
    return without(open(removeItem(daemon.text, daemon.array, at)), urls, owned);
  return withoutList(daemon, owned);
}

/** The text with what the key had before us in place of a list. */
function withoutList({ text, root, members }: Daemon, { before }: Owned): Daemon {
  const at = members.findIndex((each) => each.key === key);
  const list = members[at]?.value;
  return open(before === 'null' && list ? splice(text, list, 'null') : removeItem(text, root, at));
}

/** A URL that stood in the file before us is nobody's of ours. */
function ownedBy(record: FileRecord | undefined): Owned {
  if (record === undefined) return { urls: [], before: 'nothing' };
  const { original } = record;
  const text = original.kind === 'absent' ? '' : Buffer.from(original.content, 'base64').toString('latin1');
  const parsed = parse(text);
  const { mirrors = [], array, none } = 'problem' in parsed ? {} : parsed;
  const urls = Object.entries(record.urls ?? {}).filter(([url]) => !has(mirrors, url));
  if (array !== undefined) return { urls, before: 'list' };
  return { urls, before: none === undefined ? 'nothing' : 'null' };
}

function urlsOf({ urls }: Owned, chosen: (mirror: string) => boolean): string[] {
  return urls.filter(([, mirror]) => chosen(mirror)).map(([url]) => url);
}

const byteOrderMark = '\xef\xbb\xbf';

/** dockerd skips a byte order mark (since 23.0). Key twice: which one counts is not ours to tell. */
function parse(text: string): Daemon | { readonly problem: string } {
  try {
    const value: unknown = JSON.parse(text.startsWith(byteOrderMark) ? text.slice(3) : text);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return { problem: 'Not an object' };
    const mirrors = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : null;
    if (mirrors !== null && !isList(mirrors)) return { problem: `${key} is not an array of strings` };
    const daemon = open(text);
    const twice = daemon.members.filter((member) => member.key === key).length > 1;
    return twice ? { problem: `${key} stands there twice` } : daemon;
  } catch {
    return { problem: 'Not JSON' };
  }
}

/** Takes a text apart that `parse` accepts. */
function open(text: string): Daemon {
  const root = text.indexOf('{');
  const members = membersOf(text, root);
  const value = members.find((member) => member.key === key)?.value;
  const mirrors = value && (JSON.parse(text.slice(value.start, value.end)) as string[] | null);
  const [array, none] = mirrors === null ? [undefined, value] : [value?.start, undefined];
  return { text, root, members, array, none, mirrors: mirrors ?? [] };
}

function isList(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function has(urls: readonly string[], url: string): boolean {
  return urls.some((each) => same(each, url));
}

/** dockerd takes a mirror with and without its final slash as one. */
function same(one: string, other: string): boolean {
  return one.replace(/\/$/, '') === other.replace(/\/$/, '');
}

/** A key that is in the file and on the command line keeps dockerd from starting (seen with 20.10). */
function refuseFlags(commandLine: readonly string[]): Finding | undefined {
  const has = (flag: string) => commandLine.some((each) => each === flag || each.startsWith(`${flag}=`));
  if (has('--registry-mirror'))
    return refused(
      'MirrorFlag',
      'dockerd is started with --registry-mirror, which excludes the key in the file',
    );
  const at = commandLine.findIndex((each) => /^--config-file(=|$)/.test(each));
  const other = commandLine[at]?.split('=')[1] ?? commandLine[at + 1];
  if (at !== -1 && other !== daemonFile) return refused('OtherConfigFile', `dockerd reads ${other}`);
  return undefined;
}

function unparsable(problem: string): Finding {
  return refused('UnparsableFile', `${problem}; nothing is changed`);
}

function refused(reason: string, message: string): Finding {
  return { reason, path: daemonFile, message, blocks: true };
}
