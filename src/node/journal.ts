/**
 * The journal of a node: what lay at each path before the first change by any mirror's agent (of a file taken over: before the last), under one host
 * folder, one file per path (so that each record is written atomically). Used under the lock only, except for reading.
 */
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { RecordNote } from './action.ts';
import {
  type FileCalls,
  type FileState,
  lookAt,
  readOwnFile,
  removeFile,
  syncFolder,
  unless,
} from './files.ts';
import { writeAtomically } from './replace-file.ts';

/** A path we changed: what it was before. Content in base64; mode, uid and gid as numbers. */
export interface FileRecord extends RecordNote {
  readonly path: string;
  readonly original:
    | { readonly kind: 'absent' }
    | {
        readonly kind: 'file';
        readonly content: string;
        readonly mode: number;
        readonly uid: number;
        readonly gid: number;
      };
}

/** A folder that did not exist before us, or a link that stands for one. */
export interface FolderRecord {
  readonly kind: 'folder';
  readonly path: string;
  /** What the link leads to, as it was made; none for a real folder. */
  readonly target?: string;
}

export type JournalRecord = FileRecord | FolderRecord;

export class Journal {
  readonly #files: FileCalls;
  readonly #folder: string;

  /** `stateFolder` is the real path of the agents' common folder; it need not exist. */
  constructor(files: FileCalls, stateFolder: string) {
    this.#files = files;
    this.#folder = join(stateFolder, 'journal');
  }

  /** Returns all records by path; `damaged` names the files that are none. */
  read(): { records: JournalRecord[]; damaged: string[] } {
    const names = unless(['ENOENT'], () => this.#files.readdirSync(this.#folder)) ?? [];
    const read = names
      .filter((name) => name.endsWith('.json'))
      .map((name) => ({ name, record: this.#readRecord(join(this.#folder, name)) }));
    return {
      records: read.flatMap(({ record }) => record ?? []).sort((a, b) => (a.path < b.path ? -1 : 1)),
      damaged: read.filter(({ record }) => record === undefined).map(({ name }) => name),
    };
  }

  find(path: string): JournalRecord | undefined {
    return this.#readRecord(this.#recordFile(path));
  }

  /** Makes a record durable. */
  add(record: JournalRecord): void {
    this.#makeFolder();
    const content = Buffer.from(`${JSON.stringify({ version: 1, ...record })}\n`);
    // The original may be readable by root alone.
    writeAtomically(this.#files, this.#recordFile(record.path), content, { mode: 0o600 });
  }

  forget(path: string): void {
    removeFile(this.#files, this.#recordFile(path));
  }

  /** Removes the journal's folder, and the agents' common one, once they hold nothing; a mount point stays. */
  removeIfEmpty(): void {
    for (const folder of [this.#folder, dirname(this.#folder)])
      unless(['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'EROFS'], () => this.#files.rmdirSync(folder));
  }

  /** The real paths of temporary files of a crash (or of a writer at work, where the lock is not held). */
  leftovers(): string[] {
    const names = unless(['ENOENT'], () => this.#files.readdirSync(this.#folder)) ?? [];
    return names.filter((name) => name.endsWith('.tmp')).map((name) => join(this.#folder, name));
  }

  #recordFile(path: string): string {
    return join(this.#folder, `${createHash('sha256').update(path).digest('hex').slice(0, 32)}.json`);
  }

  #readRecord(file: string): JournalRecord | undefined {
    const content = readOwnFile(this.#files, file);
    return content === undefined ? undefined : parseRecord(content);
  }

  #makeFolder(): void {
    if (lookAt(this.#files, this.#folder) !== undefined) return;
    this.#files.mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    syncFolder(this.#files, dirname(this.#folder));
  }
}

/** Takes what lies at a path now and returns it as a record's `original`; throws where there is neither a file nor nothing. */
export function originalOf(state: FileState): FileRecord['original'] {
  if (state.kind === 'absent') return { kind: 'absent' };
  if (state.kind !== 'file') throw new Error('Neither a file nor absent');
  const { content, mode, uid, gid } = state;
  return { kind: 'file', content: content.toString('base64'), mode, uid, gid };
}

/** Atomic writes leave no half record: what does not parse comes from a broken disk. */
function parseRecord(content: Buffer): JournalRecord | undefined {
  try {
    const value = JSON.parse(content.toString()) as JournalRecord;
    const whole = value.kind === 'folder' || typeof value.original.kind === 'string';
    return typeof value.path === 'string' && whole ? value : undefined;
  } catch {
    return undefined;
  }
}
