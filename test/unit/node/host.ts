/** A host root of the test's own, on which a target's plans are carried out by the real applier. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Action } from '../../../src/node/action.ts';
import {
  type ActionResult,
  applyActions,
  type Host,
  listHostFolder,
  owedSignals,
  pruneFolders,
  readHostPath,
  type Signaller,
} from '../../../src/node/apply.ts';
import type { FileCalls, FileState } from '../../../src/node/files.ts';
import { type FileRecord, Journal, type JournalRecord } from '../../../src/node/journal.ts';
import { OwedSignals } from '../../../src/node/owed-signals.ts';

/** What a planner reads. */
export interface View {
  readonly read: (path: string) => FileState;
  readonly list: (folder: string) => readonly string[] | undefined;
  readonly records: readonly JournalRecord[];
}

export function openHost(root: string, signal: Signaller, files: FileCalls = fs): Host {
  const state = join(root, 'var/lib/registry-mirror-operator');
  const journal = new Journal(files, state);
  return {
    files,
    root,
    journal,
    redoFile: join(state, 'overwrite.redo'),
    owed: new OwedSignals(files, state),
    signal,
  };
}

export function viewOf(host: Host): View {
  return {
    read: (path) => readHostPath(host, path),
    list: (folder) => listHostFolder(host, folder),
    records: host.journal.read().records,
  };
}

/** Carries out what a pass would: the plan and the signals that are owed; then the folders that nobody uses go. */
export function apply(host: Host, actions: readonly Action[]): ActionResult[] {
  const results = applyActions([...actions, ...owedSignals(actions, host)], host);
  pruneFolders(host);
  return results;
}

/** The files of one kind in the journal. */
export function recordedOf(view: View, kind: FileRecord['kind']): FileRecord[] {
  return view.records.filter((record): record is FileRecord => record.kind === kind);
}
