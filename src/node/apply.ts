/** Carries plans out on a host root, one action after the other. The only code that changes a node's files. Needs the lock. */
import { basename, dirname, join, relative } from 'node:path';
import type {
  Action,
  DeleteAction,
  LinkAction,
  NoteAction,
  RecordNote,
  SignalAction,
  SignalledProcess,
  WriteAction,
} from './action.ts';
import {
  errorCode,
  type FileCalls,
  type FileState,
  readLink,
  readOwnFile,
  readState,
  removeFile,
  syncFolder,
  unless,
} from './files.ts';
import { resolveInRoot } from './host-root.ts';
import {
  type FileRecord,
  type FolderRecord,
  type Journal,
  type JournalRecord,
  originalOf,
} from './journal.ts';
import type { OwedSignals } from './owed-signals.ts';
import { replaceFile } from './replace-file.ts';
import type { SignalOutcome } from './signal.ts';

/** Where and with what actions are carried out. `redoFile` is a real path in the agents' state folder. */
export interface Host {
  readonly files: FileCalls;
  readonly root: string;
  readonly journal: Journal;
  readonly redoFile: string;
  readonly owed: OwedSignals;
  readonly signal: Signaller;
}

/** Signals the host's processes of that name; never throws. */
export type Signaller = (process: SignalledProcess, signal: NodeJS.Signals) => SignalOutcome;

export interface ActionResult {
  readonly action: Action;
  /** Undefined when the action is done. */
  readonly error?: unknown;
}

/** An action that was not tried, because one that it needs failed. */
export class Waiting extends Error {
  constructor(path: string) {
    super(`Waits for ${path}`);
  }
}

/** Carries out `actions` in order; one that fails stops only those that name its path in `after`. */
export function applyActions(actions: readonly Action[], host: Host): ActionResult[] {
  const results: ActionResult[] = [];
  const owed = host.owed.read();
  for (const action of actions) {
    try {
      if (action.do === 'signal') signal(action, owed, results, host);
      else {
        requireDone(action.after ?? [], results);
        if (action.do !== 'forget' && action.do !== 'note') oweSignals(action.path, actions, host);
        carryOut(action, host);
      }
      results.push({ action });
    } catch (error) {
      results.push({ action, error });
    }
  }
  return results;
}

/** What an earlier pass did not come to send and `actions` do not. */
export function owedSignals(actions: readonly Action[], host: Pick<Host, 'owed'>): SignalAction[] {
  const planned = actions.map((action) => action.do === 'signal' && action.process);
  return host.owed
    .read()
    .filter((process) => !planned.includes(process))
    .map((process) => ({ do: 'signal', process, signal: 'SIGHUP', after: [] }));
}

/** Reads what lies at a path of the host. */
export function readHostPath(host: Pick<Host, 'files' | 'root'>, path: string): FileState {
  try {
    return readState(host.files, resolveInRoot(host.files, host.root, path));
  } catch (error) {
    const why = errorCode(error);
    if (why === undefined) throw error;
    return { kind: 'unusable', why };
  }
}

/** The names in a folder of the host: none where there is no folder, undefined where it cannot be read. */
export function listHostFolder(
  host: Pick<Host, 'files' | 'root'>,
  path: string,
): readonly string[] | undefined {
  try {
    return host.files.readdirSync(resolveInRoot(host.files, host.root, path)).sort();
  } catch (error) {
    const why = errorCode(error);
    if (why === undefined) throw error;
    return why === 'ENOENT' || why === 'ENOTDIR' ? [] : undefined;
  }
}

/** Removes the folders and links that we made and nobody uses, deepest first (their records hold resolved paths); once no file of ours is left, those in use are given up. */
export function pruneFolders(host: Host): void {
  const { records } = host.journal.read();
  const last = records.every((record) => record.kind === 'folder');
  const folders = records.filter((record) => record.kind === 'folder');
  for (const folder of folders.sort((a, b) => b.path.length - a.path.length)) {
    if (isUsedLink(folder, records)) continue;
    const outcome = outcomeOf(() => removeFolder(host.files, join(host.root, folder.path), folder.target));
    if (outcome === 'gone' || (outcome === 'used' && last)) host.journal.forget(folder.path);
  }
}

const used = ['ENOTEMPTY', 'EEXIST', 'EBUSY', 'ENOTDIR'];
/** On a file system that is read-only also a folder that was never made cannot be removed. */
const refused = ['EROFS', 'EACCES', 'EPERM'];

function outcomeOf(remove: () => true): 'gone' | 'used' | 'refused' {
  try {
    remove();
    return 'gone';
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (used.includes(code)) return 'used';
    if (refused.includes(code)) return 'refused';
    throw error;
  }
}

/** True for a link that leads to a file of ours. */
function isUsedLink({ target }: FolderRecord, records: readonly JournalRecord[]): boolean {
  if (target === undefined) return false;
  return records.some(({ kind, path }) => kind !== 'folder' && path.startsWith(`${target}/`));
}

function requireDone(after: readonly string[], results: readonly ActionResult[]): void {
  const missing = results.find(
    ({ action, error }) => error !== undefined && after.includes(action.path ?? ''),
  );
  if (missing !== undefined) throw new Waiting(missing.action.path ?? '');
}

/** Before the path changes, so that no crash leaves a change that nobody was told of. */
function oweSignals(path: string, actions: readonly Action[], host: Host): void {
  for (const action of actions) {
    if (action.do === 'signal' && action.after.includes(path)) host.owed.add(action.process);
  }
}

function signal(
  { process, signal: name, after }: SignalAction,
  owed: readonly SignalledProcess[],
  results: readonly ActionResult[],
  host: Host,
): void {
  const changes = results.filter(({ action }) => after.includes(action.path ?? ''));
  if (!owed.includes(process) && !changes.some((change) => hasChanged(change, host))) {
    host.owed.settle(process);
    throw new Error(`Waits for ${after.join(', ')}`);
  }
  const { error } = host.signal(process, name);
  if (error !== undefined) throw error;
  host.owed.settle(process);
}

/** An action may fail after its file has changed: when the folder's flush does. */
function hasChanged({ action, error }: ActionResult, host: Host): boolean {
  if (error === undefined) return true;
  if (action.do !== 'write' && action.do !== 'delete') return false;
  const state = readHostPath(host, action.path);
  if (action.do === 'delete') return state.kind === 'absent';
  return state.kind === 'file' && state.content.equals(action.content);
}

function carryOut(action: Exclude<Action, SignalAction>, host: Host): void {
  if (action.do === 'write') write(action, host);
  else if (action.do === 'delete') deleteFile(action, host);
  else if (action.do === 'link') link(action, host);
  else if (action.do === 'note') note(action, host);
  else host.journal.forget(action.path);
}

function write(action: WriteAction, host: Host): void {
  const real = resolveInRoot(host.files, host.root, action.path);
  const current = readState(host.files, real);
  requireUnchanged(current, action.expected);
  keepBackup(remember(action, current, host), host);
  makeFolders(dirname(real), host);
  replaceFile(host.files, real, action.content, action.attributes ?? attributesOf(current), host.redoFile);
}

/**
 * The first original stays, but where somebody has put another file in place of ours. A file that another mirror's agent recorded but did not come to
 * write is this one's now.
 */
function remember(action: WriteAction, current: FileState, host: Host): FileRecord {
  const known = action.takesOver ? undefined : host.journal.find(action.path);
  if (known !== undefined && known.kind !== 'folder' && known.mirror === action.record.mirror)
    return withNote(known, action.record, host);
  const original = known === undefined || known.kind === 'folder' ? originalOf(current) : known.original;
  const record = { ...action.record, path: action.path, original };
  host.journal.add(record);
  return record;
}

/** Adds to a record, durably. URLs stay until it is forgotten: a crash may come before the file loses one. */
function withNote(known: FileRecord, { urls = {}, mirrors }: RecordNote, host: Host): FileRecord {
  const knowsUrls = Object.entries(urls).every(([url, mirror]) => known.urls?.[url] === mirror);
  if (knowsUrls && (mirrors === undefined || mirrors.join() === known.mirrors?.join())) return known;
  const record = {
    ...known,
    ...(!knowsUrls && { urls: { ...known.urls, ...urls } }),
    ...(mirrors && { mirrors }),
  };
  host.journal.add(record);
  return record;
}

function note({ path, mirrors }: NoteAction, host: Host): void {
  const known = host.journal.find(path);
  if (known === undefined || known.kind === 'folder') throw new Error('No record to note it in');
  withNote(known, { kind: known.kind, mirrors }, host);
}

/** The copy for people, made once from the journal, never written over. */
function keepBackup(record: FileRecord, host: Host): void {
  if (record.backup === undefined || record.original.kind === 'absent') return;
  const real = resolveInRoot(host.files, host.root, record.backup);
  if (readOwnFile(host.files, real) !== undefined) return;
  const { content, mode, uid, gid } = record.original;
  makeFolders(dirname(real), host);
  replaceFile(host.files, real, Buffer.from(content, 'base64'), { mode, owner: { uid, gid } }, host.redoFile);
}

function deleteFile(action: DeleteAction, host: Host): void {
  const real = resolveInRoot(host.files, host.root, action.path);
  requireUnchanged(readState(host.files, real), action.expected);
  removeFile(host.files, real);
}

/** A link is whole or not there; its record comes first, as a folder's. */
function link({ path, target }: LinkAction, host: Host): void {
  const folder = resolveInRoot(host.files, host.root, dirname(path));
  const real = join(folder, basename(path));
  requireUnchanged(readState(host.files, real), undefined);
  makeFolders(folder, host);
  host.journal.add({ kind: 'folder', path: `/${relative(host.root, real)}`, target });
  host.files.symlinkSync(target, real);
  syncFolder(host.files, folder);
}

function requireUnchanged(current: FileState, expected: Buffer | undefined): void {
  const same =
    expected === undefined
      ? current.kind === 'absent'
      : current.kind === 'file' && current.content.equals(expected);
  if (!same) throw new Error('Changed since it was read');
}

function attributesOf(current: FileState): { mode: number; owner?: { uid: number; gid: number } } {
  if (current.kind !== 'file') return { mode: 0o644 };
  return { mode: current.mode, owner: { uid: current.uid, gid: current.gid } };
}

/** Makes a missing real folder and those above it; each is recorded before it exists, so that no crash leaves one unknown. */
function makeFolders(real: string, host: Host): void {
  if (readState(host.files, real).kind !== 'absent') return;
  makeFolders(dirname(real), host);
  host.journal.add({ kind: 'folder', path: `/${relative(host.root, real)}` });
  host.files.mkdirSync(real, 0o755);
  // The umask may have taken bits from it.
  host.files.chmodSync(real, 0o755);
  syncFolder(host.files, dirname(real));
}

/** Removes an empty folder, or the link that leads to `target`; a link to something else is not ours any more. */
function removeFolder(files: FileCalls, path: string, target: string | undefined): true {
  if (target !== undefined) {
    if (readLink(files, path) === target) removeFile(files, path);
    return true;
  }
  if (readState(files, path).kind === 'absent') return true;
  unless(['ENOENT'], () => {
    files.rmdirSync(path);
    syncFolder(files, dirname(path));
  });
  return true;
}
