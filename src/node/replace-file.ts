/** Replaces a file so that a reader and a crash see the old or the new content, nothing between. */
import { basename, dirname, join } from 'node:path';
import { errorCode, type FileCalls, readOwnFile, removeFile, syncFolder } from './files.ts';

/** What a new file gets; without owner it belongs to the process. */
export interface FileAttributes {
  readonly mode: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** What an interrupted overwrite needs to be finished: a real path and both versions (in base64 on disk). */
interface Overwrite {
  readonly target: string;
  readonly before: Buffer;
  readonly after: Buffer;
}

/**
 * Writes `content` to the real path `target`: temporary file in the same folder, fsync, rename, fsync of the folder. A mount point cannot be
 * renamed over (EBUSY; `/etc/hosts` of a kind node or of an old manifest): that is overwritten in place, keeping its attributes, after
 * `redoFile` holds both versions. When this throws, `target` has its old content.
 */
export function replaceFile(
  files: FileCalls,
  target: string,
  content: Buffer,
  attributes: FileAttributes,
  redoFile: string,
): void {
  try {
    writeAtomically(files, target, content, attributes);
  } catch (error) {
    if (errorCode(error) !== 'EBUSY') throw error;
    overwrite(files, target, content, redoFile);
  }
}

/** As `replaceFile`, for paths that are never mount points: throws EBUSY there. */
export function writeAtomically(
  files: FileCalls,
  target: string,
  content: Buffer,
  attributes: FileAttributes,
): void {
  const temporary = temporaryPath(target);
  removeFile(files, temporary);
  try {
    writeNew(files, temporary, content, attributes);
    files.renameSync(temporary, target);
  } catch (error) {
    removeFile(files, temporary);
    throw error;
  }
  syncFolder(files, dirname(target));
}

/** The fixed name of the temporary file: the lock admits one writer, and a fixed name is found again after a crash. */
export function temporaryPath(target: string): string {
  return join(dirname(target), `.registry-mirror-operator.${basename(target)}.tmp`);
}

/**
 * Finishes an overwrite that a crash interrupted. Only what can be the torn state (a prefix of the new content, then the rest of the old) is
 * touched: anything else was written by somebody since and stays.
 */
export function finishOverwrite(files: FileCalls, redoFile: string): void {
  const content = readOwnFile(files, redoFile);
  if (content === undefined) return;
  const redo = parseOverwrite(content);
  const current = redo === undefined ? undefined : readOwnFile(files, redo.target);
  if (redo !== undefined && current !== undefined && isTorn(current, redo.before, redo.after)) {
    writeOver(files, redo.target, redo.after);
  }
  removeFile(files, redoFile);
}

/** True where `current` is what a killed writer leaves: the first bytes of `after`, then what `before` has there. */
export function isTorn(current: Buffer, before: Buffer, after: Buffer): boolean {
  if (current.equals(before) || current.equals(after)) return false;
  const written = commonPrefix(current, after);
  if (written === current.length) return current.length >= before.length;
  if (current.length !== before.length) return false;
  return current.subarray(written).equals(before.subarray(written));
}

function commonPrefix(one: Buffer, other: Buffer): number {
  const length = Math.min(one.length, other.length);
  for (let index = 0; index < length; index += 1) {
    if (one[index] !== other[index]) return index;
  }
  return length;
}

function overwrite(files: FileCalls, target: string, after: Buffer, redoFile: string): void {
  const before = files.readFileSync(target);
  writeAtomically(files, redoFile, formatOverwrite({ target, before, after }), { mode: 0o600 });
  try {
    writeOver(files, target, after);
  } catch (error) {
    // A full disk: the old content had its blocks already.
    writeOver(files, target, before);
    removeFile(files, redoFile);
    throw error;
  }
  removeFile(files, redoFile);
}

function formatOverwrite({ target, before, after }: Overwrite): Buffer {
  return Buffer.from(
    JSON.stringify({ target, before: before.toString('base64'), after: after.toString('base64') }),
  );
}

/** It was written atomically: what does not parse comes from a broken disk and can finish nothing. */
function parseOverwrite(content: Buffer): Overwrite | undefined {
  try {
    const { target, before, after } = JSON.parse(content.toString()) as Record<keyof Overwrite, string>;
    return { target, before: Buffer.from(before, 'base64'), after: Buffer.from(after, 'base64') };
  } catch {
    return undefined;
  }
}

function writeNew(files: FileCalls, path: string, content: Buffer, attributes: FileAttributes): void {
  const descriptor = files.openSync(path, 'wx', 0o600);
  try {
    writeAll(files, descriptor, content);
    if (attributes.owner !== undefined) {
      files.fchownSync(descriptor, attributes.owner.uid, attributes.owner.gid);
    }
    // After chown, which clears the set-id bits.
    files.fchmodSync(descriptor, attributes.mode);
    files.fsyncSync(descriptor);
  } finally {
    files.closeSync(descriptor);
  }
}

function writeOver(files: FileCalls, target: string, content: Buffer): void {
  const descriptor = files.openSync(target, 'r+');
  try {
    writeAll(files, descriptor, content);
    files.ftruncateSync(descriptor, content.length);
    files.fsyncSync(descriptor);
  } finally {
    files.closeSync(descriptor);
  }
}

function writeAll(files: FileCalls, descriptor: number, content: Buffer): void {
  for (let written = 0; written < content.length; ) {
    written += files.writeSync(descriptor, content, written, content.length - written, written);
  }
}
