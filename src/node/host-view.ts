/** What a plan is made of: the host's files and the journal, as they are, or as they will be once some actions are carried out. Pure. */
import type { Action, SignalledProcess, WriteAction } from './action.ts';
import type { FileState } from './files.ts';
import { type FileRecord, type JournalRecord, originalOf } from './journal.ts';

export interface HostView {
  readonly read: (path: string) => FileState;
  /** The names in a folder: none where there is no folder, undefined where it cannot be read. */
  readonly list: (path: string) => readonly string[] | undefined;
  readonly records: readonly JournalRecord[];
  /** Processes that were not told yet of what they read; absent: none. */
  readonly owed?: readonly SignalledProcess[];
}

/** The view after `actions`, so that several plans may change one file. */
export function viewAfter(view: HostView, actions: readonly Action[]): HostView {
  return actions.reduce(afterAction, view);
}

/** The records of files of one kind; with a mirror only its. */
export function recordedFiles(view: HostView, kind: FileRecord['kind'], mirror?: string): FileRecord[] {
  return view.records.filter(
    (record): record is FileRecord =>
      record.kind === kind && (mirror === undefined || (record as FileRecord).mirror === mirror),
  );
}

function afterAction(view: HostView, action: Action): HostView {
  if (action.do === 'write') return afterWrite(view, action);
  if (action.do === 'delete') return { ...view, read: replaced(view, action.path, { kind: 'absent' }) };
  if (action.do === 'forget') {
    return { ...view, records: view.records.filter(({ path }) => path !== action.path) };
  }
  if (action.do === 'note') {
    const noted = (record: JournalRecord) =>
      record.path === action.path ? { ...record, mirrors: action.mirrors } : record;
    return {
      ...view,
      records: view.records.map((record) => (record.kind === 'folder' ? record : noted(record))),
    };
  }
  return view;
}

function afterWrite(view: HostView, { path, content, record, attributes }: WriteAction): HostView {
  const before = view.read(path);
  const owner = before.kind === 'file' ? { uid: before.uid, gid: before.gid } : { uid: 0, gid: 0 };
  const mode = attributes?.mode ?? (before.kind === 'file' ? before.mode : 0o644);
  const state: FileState = { kind: 'file', content, mode, ...owner, ...attributes?.owner };
  const known = recordedFiles(view, record.kind).find((each) => each.path === path);
  const others = view.records.filter((each) => each !== known && each.path !== path);
  const original = known?.original ?? originalOf(before.kind === 'file' ? before : { kind: 'absent' });
  const urls = { ...known?.urls, ...record.urls };
  const added: FileRecord = { ...record, path, original, ...(Object.keys(urls).length > 0 && { urls }) };
  return { ...view, read: replaced(view, path, state), records: [...others, added] };
}

/** What reads of views look up before they read: a chain of them would keep every state of every file, and be walked with each read. */
const overlays = new WeakMap<
  HostView['read'],
  { readonly base: HostView['read']; readonly changed: ReadonlyMap<string, FileState> }
>();

function replaced({ read }: HostView, path: string, state: FileState): HostView['read'] {
  const { base, changed: before } = overlays.get(read) ?? { base: read, changed: new Map() };
  const changed = new Map(before).set(path, state);
  const next: HostView['read'] = (asked) => changed.get(asked) ?? base(asked);
  overlays.set(next, { base, changed });
  return next;
}
