/** One pass over a node: read, plan, and only if something differs: lock, finish what a crash left, plan again, apply. */
import { dirname } from 'node:path';
import type { Action } from './action.ts';
import {
  type ActionResult,
  applyActions,
  type Host,
  owedSignals,
  pruneFolders,
  readHostPath,
  type Signaller,
} from './apply.ts';
import { type CaBundle, parseCaBundle } from './ca-bundle.ts';
import { certificatePath } from './docker-ca.ts';
import { type FileCalls, type FileState, readState, removeFile, unless } from './files.ts';
import type { Finding } from './finding.ts';
import { resolveInRoot } from './host-root.ts';
import { Journal } from './journal.ts';
import type { Release } from './lock.ts';
import type { AgentOptions } from './options.ts';
import { OwedSignals } from './owed-signals.ts';
import { type HostView, type OwnedFile, type Plan, planRestore, planWiring } from './plan.ts';
import { finishOverwrite, temporaryPath } from './replace-file.ts';
import type { SignalOutcome } from './signal.ts';

/** What a pass needs from outside. `lock` takes a real path and resolves once it is held; without `signal` every signal fails. */
export interface PassTools {
  readonly files: FileCalls;
  readonly lock: (path: string) => Promise<Release>;
  readonly signal?: Signaller;
}

export interface PassReport {
  /** True when everything desired is in place (`wire`) or taken back (`restore`). */
  readonly complete: boolean;
  readonly findings: readonly Finding[];
  readonly results: readonly ActionResult[];
}

/** The places that the passes of all agents of a node share. */
export type NodePlaces = Pick<
  AgentOptions,
  'hostRoot' | 'stateFolder' | 'lockFile' | 'hostsFile' | 'hostsBackup'
>;

/** Makes the pass that `options` ask for. Rejects when the lock or the journal cannot be had; a file that cannot is a result. */
export function makePass(options: AgentOptions, tools: PassTools): Promise<PassReport> {
  const known = options.certificateNames.map((name) => ({
    path: certificatePath(name),
    mirror: options.mirror,
  }));
  if (options.mode === 'restore')
    return restoreMirrors(options, tools, (name) => name === options.mirror, known);
  return run(options, tools, known, (view) =>
    planWiring(options, readBundle(options.caFile, tools.files), view),
  );
}

/** Takes back what those mirrors did on this node for which `leaves` is true. Always takes the lock: folders may be left from a crash. */
export function restoreMirrors(
  places: NodePlaces,
  tools: PassTools,
  leaves: (mirror: string) => boolean,
  known: readonly OwnedFile[] = [],
): Promise<PassReport> {
  const plan = (view: HostView) => planRestore(places.hostsFile, leaves, view, known);
  return run(places, tools, known, plan, true);
}

async function run(
  places: NodePlaces,
  tools: PassTools,
  known: readonly OwnedFile[],
  planFor: (view: HostView) => Plan,
  restores = false,
): Promise<PassReport> {
  const host = openHost(places, tools);
  const survey = planFor(viewOf(host));
  const targets = [places.hostsFile, places.hostsBackup, ...known.map(({ path }) => path)];
  const idle = survey.actions.length === 0 && !hasLeftovers(host, targets);
  if (idle && !restores) return reportOf(host, survey, []);
  const release = await tools.lock(lockPath(places, tools.files));
  try {
    finishOverwrite(host.files, host.redoFile);
    for (const left of temporaries(host, targets)) removeFile(host.files, left);
    const plan = planFor(viewOf(host));
    const results = applyActions([...plan.actions, ...owedSignals(plan.actions, host)], host);
    if (restores || plan.actions.some(takesBack)) pruneFolders(host);
    if (restores) host.journal.removeIfEmpty();
    return reportOf(host, plan, results);
  } finally {
    await release();
  }
}

function takesBack(action: Action): boolean {
  return action.do === 'delete' || action.do === 'forget';
}

function openHost(places: NodePlaces, { files, signal = refuseSignal }: PassTools): Host {
  const state = resolveInRoot(files, places.hostRoot, places.stateFolder);
  const journal = new Journal(files, state);
  const owed = new OwedSignals(files, state);
  return { files, root: places.hostRoot, journal, redoFile: `${state}/overwrite.redo`, owed, signal };
}

function refuseSignal(process: string): SignalOutcome {
  return { sent: [], error: new Error(`This agent cannot signal ${process}`) };
}

/** A snapshot: each path is read once, so that a plan cannot see two states of one file. */
function viewOf(host: Host): HostView {
  const read = new Map<string, FileState>();
  return {
    records: host.journal.read().records,
    read: (path) => {
      const state = read.get(path) ?? readHostPath(host, path);
      read.set(path, state);
      return state;
    },
  };
}

/** True where a crash left something, or another agent is at work (then it is gone once the lock is ours). */
function hasLeftovers(host: Host, targets: readonly string[]): boolean {
  if (readState(host.files, host.redoFile).kind !== 'absent') return true;
  return host.owed.read().length > 0 || temporaries(host, targets).length > 0;
}

/** The real paths of temporary files beside the targets, beside every recorded path and in the journal. */
function temporaries(host: Host, targets: readonly string[]): string[] {
  const recorded = host.journal.read().records.map((record) => record.path);
  const real = [...new Set([...targets, ...recorded])].flatMap(
    (path) => unless(['ELOOP', 'ENOLINK'], () => resolveInRoot(host.files, host.root, path)) ?? [],
  );
  const possible = [...real, host.redoFile].map(temporaryPath);
  const present = possible.filter((path) => readState(host.files, path).kind === 'file');
  return [...present, ...host.journal.leftovers()];
}

/** The lock file, its folder made if missing: it lies on a tmpfs that forgets it at a boot. */
function lockPath(places: NodePlaces, files: FileCalls): string {
  const real = resolveInRoot(files, places.hostRoot, places.lockFile);
  if (readState(files, real).kind === 'folder') return `${real}/mirror-hostess`;
  files.mkdirSync(dirname(real), { recursive: true, mode: 0o755 });
  return real;
}

function readBundle(path: string, files: FileCalls): CaBundle | undefined {
  try {
    return parseCaBundle(files.readFileSync(path));
  } catch {
    return undefined;
  }
}

function reportOf(host: Host, plan: Plan, results: readonly ActionResult[]): PassReport {
  const damaged = host.journal.read().damaged.map(damagedRecord);
  const complete =
    results.every((result) => result.error === undefined) && !plan.findings.some((finding) => finding.blocks);
  return { complete, findings: [...plan.findings, ...damaged], results };
}

function damagedRecord(name: string): Finding {
  return { reason: 'DamagedRecord', message: `Journal record ${name} cannot be read`, blocks: false };
}
