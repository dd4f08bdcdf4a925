/** What a pass leaves the node's containerd with: whether it looks where we think, and whether a restart would change that. Pure. */
import { isOnlyOurs } from './containerd/configure.ts';
import { changedSinceStart, containerdInForce } from './containerd/in-force.ts';
import type { Liveness } from './containerd/liveness.ts';
import type { ContainerdFacts } from './facts.ts';
import { type HostView, recordedFiles } from './host-view.ts';

export interface ContainerdState {
  /** Mirrors for which it may be restarted: what it has not read is our change, and nothing else. */
  readonly configured: readonly string[];
  /** Whether it has read its configuration; absent where there is none, or nothing is to be wired. */
  readonly containerd?: Liveness;
}

/** Returns it as the files are in `view`. */
export function containerdState(
  containerd: ContainerdFacts | undefined,
  view: HostView,
  restores: boolean,
): ContainerdState {
  if (containerd === undefined) return { configured: [] };
  const host = { read: view.read, list: (path: string) => view.list(path) ?? [] };
  const { version: release, configFile, startedAt } = containerd;
  const facts = { release, configFile, startedAt, now: Date.now() };
  const records = recordedFiles(view, 'containerd-config');
  // On most nodes nothing was changed by us: then no file is read for it.
  const changed = records.length === 0 ? [] : changedSinceStart(host, facts);
  const ours = records.filter(
    (record) => changed.every((path) => path === record.path) && isOnlyOurs(record, view.read),
  );
  const configured = ours.flatMap(({ mirrors = [] }) => mirrors);
  return restores ? { configured } : { configured, containerd: containerdInForce(host, facts) };
}
