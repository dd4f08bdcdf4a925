import type { CaBundle } from '../ca-bundle.ts';
import type { FileRecord } from '../journal.ts';
import type { ForeignFiles } from '../managed-file.ts';
import type { HostFiles } from './host-files.ts';

/** A name, as in image references, whose pulls go to the mirror. */
export interface WiredName {
  readonly name: string;
  /** True for a name of the upstream itself: what the mirror does not serve is then asked of it. */
  readonly upstream: boolean;
}

/** What containerd's wiring is planned from. */
export interface ContainerdInput extends HostFiles {
  readonly mirror: string;
  readonly names: readonly WiredName[];
  /** `http://127.0.0.1:PORT` or `https://S`. */
  readonly endpoint: string;
  /** Of an `https` endpoint; undefined when there is no usable CA: what lies on the node stays. */
  readonly bundle: CaBundle | undefined;
  readonly foreignFiles: ForeignFiles;
  /** True where a containerd is known to be there, configuration file or not. */
  readonly found: boolean;
  /** Of that containerd (`2.1.4`), where it is known. */
  readonly release?: string;
  /** The files of kind `containerd-hosts` that the journal says this mirror made. */
  readonly recorded: readonly FileRecord[];
}
