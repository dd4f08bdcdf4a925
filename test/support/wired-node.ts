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
import { type FileRecord, Journal } from '../../src/node/journal.ts';
import type { TargetPlan } from '../../src/node/managed-file.ts';
import { OwedSignals } from '../../src/node/owed-signals.ts';

/** What a wiring wants; the host's files and the journal come from the root. */
export type Wiring = Omit<ContainerdInput, 'read' | 'list' | 'recorded'>;

export interface Wired {
  readonly results: readonly ActionResult[];
  readonly findings: readonly Finding[];
}

export interface WireOptions {
  readonly files?: FileCalls;
  /** Given where the folders are known. */
  readonly planner?: (input: ContainerdInput) => TargetPlan;
}

/** Plans and applies once. `state` is the agents' folder, a real path. */
export function wireContainerd(
  root: string,
  state: string,
  wiring: Wiring,
  { files = fs, planner = planContainerd }: WireOptions = {},
): Wired {
  const host: Host = {
    files,
    root,
    journal: new Journal(files, state),
    redoFile: `${state}/overwrite.redo`,
    owed: new OwedSignals(files, state),
    signal: () => ({ sent: [] }),
  };
  const { actions, findings } = planner({
    ...wiring,
    read: (path) => readHostPath(host, path),
    list: (path) => listHostFolder(host, path) ?? [],
    recorded: recordsOf(host, wiring.mirror),
  });
  const results = applyActions(actions, host);
  if (actions.some((action) => action.do === 'delete' || action.do === 'forget')) pruneFolders(host);
  return { results, findings };
}

function recordsOf({ journal }: Host, mirror: string): FileRecord[] {
  return journal
    .read()
    .records.flatMap((record) =>
      record.kind === 'containerd-hosts' && record.mirror === mirror ? [record] : [],
    );
}
