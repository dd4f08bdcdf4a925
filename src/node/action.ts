/** What a plan consists of. Paths are the host's. Data only: printed by a dry run, carried out by `applyActions`. */
export type Action = FileAction | SignalAction;
export type FileAction = WriteAction | DeleteAction | LinkAction | ForgetAction | NoteAction;

interface Dependent {
  /** Paths whose own actions must have succeeded; otherwise this one is left for the next pass. */
  readonly after?: readonly string[];
}

/** Create or replace a file, after the journal holds what was there before. */
export interface WriteAction extends Dependent {
  readonly do: 'write';
  readonly path: string;
  readonly content: Buffer;
  /** What was read when this was planned (undefined: no file). Anything else at the moment of writing: left for the next pass. */
  readonly expected: Buffer | undefined;
  /** What the journal notes the first time. */
  readonly record: RecordNote;
  /** True where somebody else's file is replaced: a restore brings back that one, whatever lay there before. */
  readonly takesOver?: boolean;
  /** Absent: those of the file that is replaced. */
  readonly attributes?: Attributes;
}

/** Remove a file that was absent before us, and the folders we made for it. */
export interface DeleteAction extends Dependent {
  readonly do: 'delete';
  readonly path: string;
  readonly expected: Buffer;
}

/** Make a symbolic link to a folder where nothing is. It is the node's, not one mirror's: it goes with the last file of ours below `target`. */
export interface LinkAction extends Dependent {
  readonly do: 'link';
  readonly path: string;
  /** Absolute, as the host sees it. */
  readonly target: string;
}

/** The path is as it was before us: drop its record. */
export interface ForgetAction extends Dependent {
  readonly do: 'forget';
  readonly path: string;
}

/** The mirrors that a shared file is changed for are these from now on: noted in its record, the file stays as it is. */
export interface NoteAction extends Dependent {
  readonly do: 'note';
  readonly path: string;
  readonly mirrors: readonly string[];
}

/** The processes that read a file of ours again when they are told to. */
export type SignalledProcess = 'dockerd' | 'crio';

/**
 * Tell a process of the host to read its configuration again. Sent where at least one of the paths in `after` changed, or is owed since a pass that
 * did not come to it. A process that does not run reads its files when it starts.
 */
export interface SignalAction {
  readonly do: 'signal';
  readonly process: SignalledProcess;
  readonly signal: 'SIGHUP';
  readonly after: readonly string[];
  readonly path?: never;
}

/** As `chmod` and `chown` take them. */
export interface Attributes {
  readonly mode: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

export interface RecordNote {
  /** `hosts`, `docker-daemon` and `containerd-config` are shared by all mirrors; of the others each file is wholly one mirror's. */
  readonly kind:
    | 'hosts'
    | 'docker-ca'
    | 'docker-daemon'
    | 'containerd-config'
    | 'containerd-hosts'
    | 'containers-registries';
  /** The mirror that made the file; none where several share it. */
  readonly mirror?: string;
  /** Where a copy of the first original is kept for people (`HOSTS_FILE_BACKUP`). */
  readonly backup?: string;
  /** The mirror of each URL that was ever put into a `docker-daemon` file; the journal adds up those of all mirrors. */
  readonly urls?: Readonly<Record<string, string>>;
  /** All mirrors that a `containerd-config` file is changed for; the last note counts. */
  readonly mirrors?: readonly string[];
}

/** The signal after whatever of `actions` changes a file; none where none does. */
export function reloadAfter(process: SignalledProcess, actions: readonly Action[]): SignalAction[] {
  const after = actions
    .filter(({ do: kind }) => kind === 'write' || kind === 'delete')
    .map(({ path }) => path);
  const paths = after.filter((path) => path !== undefined);
  return paths.length === 0 ? [] : [{ do: 'signal', process, signal: 'SIGHUP', after: paths }];
}
