/**
 * Plans a file that is wholly ours: written with a header that names its mirror and the checksum of what follows, so that ownership does not
 * hang on the journal alone. Pure; used by the targets.
 */
import { createHash } from 'node:crypto';
import type { Action, FileAction, RecordNote, WriteAction } from './action.ts';
import type { FileState } from './files.ts';
import { type Finding, unusablePath } from './finding.ts';
import type { FileRecord } from './journal.ts';

const mark = 'registry-mirror-operator: managed';
const headerPattern = new RegExp(`^# ${mark}; ([-a-z0-9]+); sha256 ([0-9a-f]{64})\\r?\\n(.*)$`, 's');

export interface TargetPlan {
  readonly actions: readonly Action[];
  readonly findings: readonly Finding[];
}

export interface FilePlan extends TargetPlan {
  readonly actions: readonly FileAction[];
}

/** What is done about a file that is somebody else's: `refuse` leaves it, `takeover` replaces it until the restore. */
export type ForeignFiles = 'refuse' | 'takeover';

export interface ManagedFile {
  readonly path: string;
  /** What follows the header; in a format in which a line that begins with `#` is a comment. */
  readonly body: string;
  readonly mirror: string;
  readonly kind: RecordNote['kind'];
  readonly foreignFiles: ForeignFiles;
  /** True for somebody else's content that serves as well as ours would. */
  readonly serves?: (content: Buffer) => boolean;
  readonly read: (path: string) => FileState;
}

/** Returns what makes the file so, or why that may not be. */
export function planManagedFile(file: ManagedFile): FilePlan {
  const { path, mirror } = file;
  const state = file.read(path);
  if (state.kind === 'folder' || state.kind === 'unusable') {
    return { actions: [], findings: [unusablePath(path, state) ?? []].flat() };
  }
  const content = Buffer.from(withHeader(mirror, file.body));
  if (state.kind === 'absent') return planned(file, content, undefined);
  if (state.content.equals(content)) return { actions: [], findings: [] };
  const header = headerOf(state.content);
  if (header?.mirror === mirror)
    return planned(file, content, state.content, header.intact ? [] : [edited(path)]);
  if (file.serves?.(state.content)) return { actions: [], findings: [] };
  if (header !== undefined)
    return refused(path, 'FileOfOtherMirror', `The file belongs to mirror ${header.mirror}`);
  if (file.foreignFiles === 'refuse') return refused(path, 'ForeignFile', 'A file that is not ours is kept');
  // One of ours whose header is not where it was is nothing to bring back.
  const takesOver = !state.content.includes(mark);
  return {
    actions: [{ ...written(file, content, state.content), takesOver }],
    findings: [takenOver(path)],
  };
}

/**
 * Returns what takes back those of `records` that are still this mirror's: what lay there before us comes back, or the file goes. One that
 * became somebody else's is only forgotten.
 */
export function planManagedRemoval(
  mirror: string,
  records: readonly Pick<FileRecord, 'path' | 'original' | 'kind'>[],
  read: (path: string) => FileState,
): FileAction[] {
  return records.flatMap(({ path, original, kind }): FileAction[] => {
    const state = read(path);
    if (state.kind === 'unusable') return [];
    if (state.kind !== 'file' || headerOf(state.content)?.mirror !== mirror) return [{ do: 'forget', path }];
    const { content: expected } = state;
    const forget: FileAction = { do: 'forget', path, after: [path] };
    if (original.kind === 'absent') return [{ do: 'delete', path, expected }, forget];
    const { content, mode, uid, gid } = original;
    const before = Buffer.from(content, 'base64');
    const attributes = { mode, owner: { uid, gid } };
    return [{ do: 'write', path, content: before, expected, attributes, record: { kind, mirror } }, forget];
  });
}

/** The mirror whose file this is; undefined: nobody's of ours. */
export function mirrorOf(content: Buffer): string | undefined {
  return headerOf(content)?.mirror;
}

function planned(
  file: ManagedFile,
  content: Buffer,
  expected: Buffer | undefined,
  findings: readonly Finding[] = [],
): FilePlan {
  return { actions: [written(file, content, expected)], findings };
}

function written(
  { path, mirror, kind }: ManagedFile,
  content: Buffer,
  expected: Buffer | undefined,
): WriteAction {
  return { do: 'write', path, content, expected, record: { kind, mirror } };
}

function takenOver(path: string): Finding {
  const message = 'A file that was not ours is replaced until the restore';
  return { reason: 'TakenOver', path, message, blocks: false };
}

function edited(path: string): Finding {
  return { reason: 'EditedFile', path, message: 'The file was edited and is rewritten', blocks: false };
}

function refused(path: string, reason: string, message: string): FilePlan {
  return { actions: [], findings: [{ reason, path, message, blocks: true }] };
}

interface Header {
  readonly mirror: string;
  /** The body is what the header's checksum says. */
  readonly intact: boolean;
}

function withHeader(mirror: string, body: string): string {
  return `# ${mark}; ${mirror}; sha256 ${sha256(body)}\n${body}`;
}

function headerOf(content: Buffer): Header | undefined {
  const match = headerPattern.exec(content.toString('latin1'));
  if (match === null) return undefined;
  const [, mirror = '', sum, body = ''] = match;
  return { mirror, intact: sha256(body) === sum };
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex');
}
