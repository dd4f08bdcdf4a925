/** One pass over a node: read, plan, and only if something differs: lock, finish what a crash left, plan again, apply. */
import { dirname } from 'node:path';
import type { Action, SignalledProcess } from './action.ts';
import {
  type ActionResult,
  applyActions,
  type Host,
  listHostFolder,
  owedSignals,
  pruneFolders,
  readHostPath,
  type Signaller,
  Waiting,
} from './apply.ts';
import { type CaBundle, parseCaBundle } from './ca-bundle.ts';
import { type ContainerdState, containerdState } from './containerd-state.ts';
import type { NodeFacts } from './facts.ts';
import { errorCode, type FileCalls, type FileState, readState, removeFile, unless } from './files.ts';
import type { Finding } from './finding.ts';
import { resolveInRoot } from './host-root.ts';
import type { HostView } from './host-view.ts';
import { type FolderRecord, Journal } from './journal.ts';
import { knownFiles } from './known-files.ts';
import type { Release } from './lock.ts';
import { markedFiles } from './marked-files.ts';
import type { AgentMode, MirrorList, NodePlaces, WiredMirror } from './options.ts';
import { OwedSignals } from './owed-signals.ts';
import { type Plan, planWiring } from './plan.ts';
import type { TargetOfMirror } from './plan-mirror.ts';
import { type OwnedFile, ownersIn, planRestore } from './plan-restore.ts';
import { refusalOf } from './refusal.ts';
import { finishOverwrite, temporaryPath } from './replace-file.ts';
import type { SignalOutcome } from './signal.ts';

/** What a pass needs from outside. `lock` takes a real path and resolves once it is held; without `signal` every signal fails. */
export interface PassTools {
  readonly files: FileCalls;
  readonly lock: (path: string) => Promise<Release>;
  readonly signal?: Signaller;
  /** Resolves when a process that was signalled has had time to read its files. */
  readonly settle?: () => Promise<void>;
}

export interface PassReport extends ContainerdState {
  /** True when everything desired is in place (`wire`) or taken back (`restore`). */
  readonly complete: boolean;
  readonly findings: readonly Finding[];
  readonly results: readonly ActionResult[];
  /** What was planned for each mirror and runtime. */
  readonly targets: readonly TargetOfMirror[];
  /** Processes that have not been told of a change yet. */
  readonly owed: readonly SignalledProcess[];
  /** Every mirror that has something on the node afterwards; none where the pass is about some of them; absent where nobody could look. */
  readonly owners?: readonly string[];
  /** Why nothing could be done, among `findings`: `targets` is what is planned still, or empty where nobody could look. */
  readonly refusal?: Finding;
}

/** What one pass is about. */
export interface PassInput {
  readonly mode: AgentMode;
  readonly places: NodePlaces;
  readonly list: MirrorList;
  readonly facts: NodeFacts;
  /** False while it is known that the mirror does not answer. */
  readonly answers: (mirror: WiredMirror) => boolean;
  /** See `WiringInput`. */
  readonly mayTakeBack?: (mirror: string) => boolean;
}

/**
 * Makes one pass. A file that cannot be had is a result; a lock or a journal that cannot is a finding in mode `wire`, unless it passes by itself. Else it
 * rejects: a node at which nobody could look is never said to be restored.
 */
export async function makePass(input: PassInput, tools: PassTools): Promise<PassReport> {
  const { mode, places, list, facts, answers, mayTakeBack } = input;
  const known = (view: HostView) => list.mirrors.flatMap((mirror) => knownFiles(mirror, facts, view));
  if (mode === 'restore') {
    const names = new Set(list.mirrors.map(({ name }) => name));
    return restoreMirrors(places, tools, (name) => names.has(name), { facts, known });
  }
  const bundleOf = (mirror: WiredMirror) => readBundle(mirror.caFile, tools.files);
  const plan = (view: HostView, failed: ReadonlySet<string>) =>
    planWiring({ places, list, facts, bundleOf, answers, failed, mayTakeBack }, view);
  try {
    return await run(tools, { places, facts, plan, known, restores: false, knowsAll: list.whole });
  } catch (error) {
    return refused(error, places, { results: [], findings: [], targets: [], owed: [], configured: [] });
  }
}

/** Takes back what those mirrors did on this node for which `leaves` is true. Always takes the lock: folders may be left from a crash. */
export function restoreMirrors(
  places: NodePlaces,
  tools: PassTools,
  leaves: (mirror: string) => boolean,
  {
    facts = {},
    known = (view) => markedFiles(view, facts),
  }: { facts?: NodeFacts; known?: Run['known'] } = {},
): Promise<PassReport> {
  const plan = (view: HostView) => planRestore({ places, facts, leaves, known: known(view) }, view);
  return run(tools, { places, facts, plan, known, restores: true, knowsAll: true });
}

interface Run {
  readonly places: NodePlaces;
  readonly facts: NodeFacts;
  /** `failed`: paths that could not be written just now. */
  readonly plan: (view: HostView, failed: ReadonlySet<string>) => Plan;
  /** Where files of ours may lie that the journal does not know. */
  readonly known: (view: HostView) => readonly OwnedFile[];
  readonly restores: boolean;
  /** Every mirror of the node is taken into account. */
  readonly knowsAll: boolean;
}

async function run(tools: PassTools, asked: Run): Promise<PassReport> {
  const { places, plan, known, restores } = asked;
  const host = openHost(places, tools);
  const view = viewOf(host);
  const survey = plan(view, new Set());
  const targets = [places.hostsFile, places.hostsBackup, ...known(view).map(({ path }) => path)];
  const hasLeft = hasLeftovers(host, targets);
  const idle = survey.actions.length === 0 && !hasLeft;
  if (idle && !restores) return reportOf(asked, view, survey, []);
  let release: Release;
  try {
    release = await tools.lock(lockPath(places, tools.files));
  } catch (error) {
    if (restores) throw error;
    // Nothing has changed since it was looked at.
    return refused(error, places, reportOf(asked, view, survey, []));
  }
  try {
    return await change(host, { asked, targets, hasLeft }, tools);
  } finally {
    await release();
  }
}

/** Under the lock. */
async function change(
  host: Host,
  {
    asked,
    targets,
    hasLeft,
  }: { readonly asked: Run; readonly targets: readonly string[]; readonly hasLeft: boolean },
  { settle }: Pick<PassTools, 'settle'>,
): Promise<PassReport> {
  const { plan, restores } = asked;
  finishOverwrite(host.files, host.redoFile);
  for (const left of temporaries(host, targets)) removeFile(host.files, left);
  const first = carryOut(plan, new Set(), host);
  const rounds = [first];
  const failed = failedPaths(first.results);
  if (hasWaited(first.results)) rounds.push(carryOut(plan, failed, host));
  if (hasTold(rounds) && plan(viewOf(host), failed).actions.length > 0) {
    await settle?.();
    rounds.push(carryOut(plan, failed, host));
  }
  // Also one that was made for a file which could not be written: containerd would look there, and nowhere else.
  const takes = restores || rounds.some((round) => round.plan.actions.some(takesBack));
  if (takes || hasLeft || failed.size > 0) prune(host, takes);
  const last = rounds.at(-1) ?? first;
  const results = rounds.flatMap((round) =>
    round === last ? round.results : round.results.filter(({ error }) => error === undefined),
  );
  return reportOf(asked, viewOf(host), last.plan, results);
}

/** What is known of a node whose lock or journal cannot be used; throws every other error. */
function refused(
  error: unknown,
  { hostRoot }: NodePlaces,
  known: Omit<PassReport, 'complete' | 'refusal'>,
): PassReport {
  const refusal = refusalOf(error, hostRoot);
  if (refusal === undefined) throw error;
  return { ...known, complete: false, findings: [...known.findings, refusal], refusal };
}

interface CarriedOut {
  readonly plan: Plan;
  readonly results: readonly ActionResult[];
}

function carryOut(planFor: Run['plan'], failed: ReadonlySet<string>, host: Host): CarriedOut {
  const plan = planFor(viewOf(host), failed);
  return { plan, results: applyActions([...plan.actions, ...owedSignals(plan.actions, host)], host) };
}

function failedPaths(results: readonly ActionResult[]): Set<string> {
  return new Set(results.flatMap(({ action, error }) => (error === undefined ? [] : (action.path ?? []))));
}

/** True where a file that several mirrors share was not written because of one of them: the others do not wait for it. */
function hasWaited(results: readonly ActionResult[]): boolean {
  return results.some(
    ({ action, error }) =>
      action.do === 'write' && action.record.kind === 'hosts' && error instanceof Waiting,
  );
}

/** True where a process was told of a change, after which there may be more to do. */
function hasTold(rounds: readonly CarriedOut[]): boolean {
  return rounds.some(({ results }) =>
    results.some(({ action, error }) => action.do === 'signal' && error === undefined),
  );
}

function takesBack(action: Action): boolean {
  return action.do === 'delete' || action.do === 'forget';
}

/** What cannot be removed is tried again with the next pass; where it is to go, that is said. */
function prune(host: Host, isWanted: boolean): void {
  try {
    pruneFolders(host);
    host.journal.removeIfEmpty();
  } catch (error) {
    if (isWanted || errorCode(error) === undefined) throw error;
  }
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

/** What a pass knows of the node at one moment. */
interface Snapshot extends HostView {
  readonly owed: readonly SignalledProcess[];
  /** Names of journal files that cannot be read. */
  readonly damaged: readonly string[];
}

/** A snapshot: each path is read once, so that a plan cannot see two states of one file. */
function viewOf(host: Host): Snapshot {
  const { records, damaged } = host.journal.read();
  const read = new Map<string, FileState>();
  return {
    records,
    damaged,
    owed: host.owed.read(),
    read: (path) => {
      const state = read.get(path) ?? readHostPath(host, path);
      read.set(path, state);
      return state;
    },
    list: (path) => listHostFolder(host, path),
  };
}

/** True where a crash left something, or another agent is at work (then it is gone once the lock is ours). */
function hasLeftovers(host: Host, targets: readonly string[]): boolean {
  if (readState(host.files, host.redoFile).kind !== 'absent') return true;
  if (host.owed.read().length > 0 || temporaries(host, targets).length > 0) return true;
  return host.journal.read().records.some((record) => record.kind === 'folder' && isEmpty(record, host));
}

/** True for a folder of ours that has lost its file, of an agent that lost its life before the folder could follow. */
function isEmpty({ path, target }: FolderRecord, host: Host): boolean {
  const isFolder = target === undefined && readHostPath(host, path).kind === 'folder';
  return isFolder && listHostFolder(host, path)?.length === 0;
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

/**
 * The lock file, its folder made if missing: it lies on a tmpfs that forgets it at a boot. A file in place of its folder, which mirror-hostess by itself
 * makes, is the lock.
 */
function lockPath(places: NodePlaces, files: FileCalls): string {
  const real = resolveInRoot(files, places.hostRoot, places.lockFile);
  if (readState(files, real).kind === 'folder') return `${real}/mirror-hostess`;
  const folder = dirname(real);
  if (readState(files, folder).kind === 'file') return folder;
  files.mkdirSync(folder, { recursive: true, mode: 0o755 });
  return real;
}

function readBundle(path: string, files: FileCalls): CaBundle | undefined {
  try {
    return parseCaBundle(files.readFileSync(path));
  } catch {
    return undefined;
  }
}

function reportOf(
  { places, facts, restores, knowsAll }: Pick<Run, 'places' | 'facts' | 'restores' | 'knowsAll'>,
  view: Snapshot,
  plan: Plan,
  results: readonly ActionResult[],
): PassReport {
  const complete =
    results.every((result) => result.error === undefined) && !plan.findings.some((finding) => finding.blocks);
  return {
    complete,
    findings: [...plan.findings, ...view.damaged.map(damagedRecord)],
    results,
    targets: plan.targets,
    owed: view.owed,
    owners: knowsAll ? ownersOf(places, facts, view) : [],
    ...containerdState(facts.containerd, view, restores),
  };
}

function ownersOf(places: NodePlaces, facts: NodeFacts, view: HostView): string[] {
  const marked = markedFiles(view, facts).map(({ mirror }) => mirror);
  return [...new Set([...ownersIn(places.hostsFile, view), ...marked])].sort();
}

function damagedRecord(name: string): Finding {
  return { reason: 'DamagedRecord', message: `Journal record ${name} cannot be read`, blocks: false };
}
