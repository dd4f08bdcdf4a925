import type { FileState } from './files.ts';

/** Something about a node that a person should know. Shown in logs and in the ready file; never holds file content. */
export interface Finding {
  /** CamelCase and stable. */
  readonly reason: string;
  /** The path on the host, where there is one. */
  readonly path?: string;
  readonly message: string;
  /** The mirror that it is about; absent: the node, or the mirror whose plan it is in. */
  readonly mirror?: string;
  /** True when a part of the desired state is not in place because of it. */
  readonly blocks: boolean;
}

/** What is said where neither a file nor nothing lies at a path; undefined where it does. */
export function unusablePath(path: string, state: FileState): Finding | undefined {
  if (state.kind === 'file' || state.kind === 'absent') return undefined;
  const why = state.kind === 'folder' ? 'folder' : state.why;
  return { reason: 'UnusablePath', path, message: `Not a file: ${why}`, blocks: true };
}
