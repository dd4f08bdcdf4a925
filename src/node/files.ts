import type { default as nodeFileSystem, Stats } from 'node:fs';
import { dirname } from 'node:path';

/**
 * The file-system calls of the agent, one function per system call, named as in `node:fs`, which is the real one.
 * Synchronous on purpose: the files are few and small, nothing else runs in this process, and a test can end it after any call.
 */
export type FileCalls = Pick<
  typeof nodeFileSystem,
  | 'chmodSync'
  | 'closeSync'
  | 'fchmodSync'
  | 'fchownSync'
  | 'fsyncSync'
  | 'ftruncateSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readFileSync'
  | 'readdirSync'
  | 'readlinkSync'
  | 'renameSync'
  | 'rmdirSync'
  | 'lstatSync'
  | 'symlinkSync'
  | 'unlinkSync'
  | 'writeSync'
>;

/** What lies at a path. `unusable`: it cannot be read (`why` is an errno code) or is neither file nor folder. */
export type FileState =
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'file';
      readonly content: Buffer;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      /** When it was last written, in milliseconds since 1970; absent where nobody looked. */
      readonly mtimeMs?: number;
    }
  | { readonly kind: 'folder' }
  | { readonly kind: 'unusable'; readonly why: string };

/** Returns the errno code of a failed call, or undefined for any other error. */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Runs `call`; returns undefined where it fails with one of `codes`, throws every other error. */
export function unless<T>(codes: readonly string[], call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (codes.includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}

/**
 * What lies at a real path itself, a link included; undefined where nothing does. An error for each path without anything would cost ten times
 * what the look costs, and most paths of a node are without.
 */
export function lookAt(files: Pick<FileCalls, 'lstatSync'>, path: string): Stats | undefined {
  // A file stands where a folder of the path should: that is an error whatever is asked for.
  return unless(['ENOTDIR'], () => files.lstatSync(path, { throwIfNoEntry: false }));
}

/** Where the link at a real path leads, in its own words; undefined where there is no link. */
export function readLink(files: FileCalls, path: string): string | undefined {
  if (!lookAt(files, path)?.isSymbolicLink()) return undefined;
  // It may have gone meanwhile, or become something else.
  return unless(['EINVAL', 'ENOENT', 'ENOTDIR'], () => files.readlinkSync(path));
}

/** Reads what lies at a real path (links are resolved before: see `resolveInRoot`). Does not throw for anything errno knows. */
export function readState(files: FileCalls, path: string): FileState {
  try {
    const stat = lookAt(files, path);
    if (stat === undefined) return { kind: 'absent' };
    if (stat.isDirectory()) return { kind: 'folder' };
    if (!stat.isFile()) return { kind: 'unusable', why: 'not a regular file' };
    const { mode, uid, gid, mtimeMs } = stat;
    return { kind: 'file', content: files.readFileSync(path), mode: mode & 0o7777, uid, gid, mtimeMs };
  } catch (error) {
    const code = errorCode(error);
    // It has gone meanwhile.
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' };
    if (code === undefined) throw error;
    return { kind: 'unusable', why: code };
  }
}

/** A file of our own that cannot be used as it lies at the real path `path`. */
export class UnusableFile extends Error {
  readonly path: string;

  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

/** Reads a file of our own: undefined where there is none; throws where it cannot be read, because "unreadable" is not "absent". */
export function readOwnFile(files: FileCalls, path: string): Buffer | undefined {
  const state = readState(files, path);
  if (state.kind === 'absent') return undefined;
  if (state.kind === 'file') return state.content;
  throw new UnusableFile(path, `Cannot read ${path}: ${state.kind === 'folder' ? 'a folder' : state.why}`);
}

/** Flushes a folder's entries to disk, so that a rename, a new file or a removal in it survives a power cut. */
export function syncFolder(files: FileCalls, folder: string): void {
  const descriptor = files.openSync(folder, 'r');
  try {
    files.fsyncSync(descriptor);
  } finally {
    files.closeSync(descriptor);
  }
}

/** Removes a file if it is there and makes the removal durable. */
export function removeFile(files: FileCalls, path: string): void {
  unless(['ENOENT'], () => {
    files.unlinkSync(path);
    syncFolder(files, dirname(path));
  });
}
