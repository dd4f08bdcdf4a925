/** Wires containerd on a host root with the real applier, as the agent's passes do. */
import * as fs from 'node:fs';
import {
  type ActionResult,
  applyActions,
  type Host,
  listHostFolder,
  pruneFolders,
  readHostPath,
} from '../../src/node/apply.ts';
import type { ContainerdInput } from '../../src/node/containerd/input.ts';
import { planContainerd } from '../../src/node/containerd/target.ts';
import type { FileCalls } from '../../src/node/files.ts';
import type { Finding } from '../../src/node/finding.ts';
import { Journal } from '../../src/node/journal.ts';

/** What a wiring wants; the host's files and the journal come from the root. */
export type Wiring = Omit<ContainerdInput, 'read' | 'list' | 'recorded'>;

export interface Wired {
  readonly results: readonly ActionResult[];
  readonly findings: readonly Finding[];
}

/** Plans and applies once. `state` is the agents' folder, a real path. */
export function wireContainerd(root: string, state: string, wiring: Wiring, files: FileCalls = fs): Wired {
  const host: Host = { files, root, journal: new Journal(files, state), redoFile: `${state}/overwrite.redo` };
  const { actions, findings } = planContainerd({
    ...wiring,
    read: (path) => readHostPath(host, path),
    list: (path) => listHostFolder(host, path),
    recorded: host.journal
      .read()
      .records.flatMap((record) =>
        record.kind === 'containerd-hosts' && record.mirror === wiring.mirror ? [record] : [],
      ),
  });
  const results = applyActions(actions, host);
  if (actions.some((action) => action.do === 'delete' || action.do === 'forget')) pruneFolders(host);
  return { results, findings };
}
