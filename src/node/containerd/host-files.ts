import type { FileState } from '../files.ts';

/** The host's files as the planners see them. Paths are the host's. */
export interface HostFiles {
  readonly read: (path: string) => FileState;
  /** The names in a folder; none where there is no folder that can be read. */
  readonly list: (path: string) => readonly string[];
}
