import type { NodeName } from '../../api/node-mirror.ts';
import type { CaBundle } from '../ca-bundle.ts';
import type { FileRecord } from '../journal.ts';
import type { ForeignFiles } from '../managed-file.ts';
import type { HostFiles } from './host-files.ts';

/** What containerd's wiring is planned from. */
export interface ContainerdInput extends HostFiles {
  readonly mirror: string;
  readonly names: readonly NodeName[];
  /** `http://127.0.0.1:PORT` or `https://S`. */
  readonly endpoint: string;
  /** Of an `https` endpoint; undefined when there is no usable CA: what lies on the node stays. */
  readonly bundle: CaBundle | undefined;
  readonly foreignFiles: ForeignFiles;
  /** True where a containerd is known to be there, configuration file or not. */
  readonly found: boolean;
  /** Of that containerd (`2.1.4`), where it is known. */
  readonly release?: string;
  /** The file that it was started with, where it runs. */
  readonly configFile?: string;
  /** The files of kind `containerd-hosts` that the journal says this mirror made. */
  readonly recorded: readonly FileRecord[];
}
