/**
 * Plans containerd's wiring: `<config_path>/<name>/hosts.toml`, read on every pull, with the mirror first. Pure. Other folders of the agent use this
 * file, `input.ts` and `config.ts`.
 *
 * Certificates come before the `hosts.toml` that names them and go after it: containerd fails every pull of a name whose `ca` is not there.
 */

import { dirname } from 'node:path';
import type { NodeName } from '../../api/node-mirror.ts';
import type { FileAction } from '../action.ts';
import type { Finding } from '../finding.ts';
import type { FileRecord } from '../journal.ts';
import { type FilePlan, mirrorOf, planManagedRemoval } from '../managed-file.ts';
import { readConfigs } from './config.ts';
import { type PathInForce, pathInForce, planColonLink } from './config-path.ts';
import { foldersOf, referenceName } from './host-folder.ts';
import type { ContainerdInput } from './input.ts';
import { planName } from './wired-name.ts';

export interface ContainerdPlan extends FilePlan {
  /** The files that are this mirror's here, written now or not: what a restore looks at when the journal is lost. */
  readonly paths: readonly string[];
}

/**
 * Returns what sends the pulls of each name to the mirror and what takes back this mirror's files for everything else. `others`: folders of another
 * runtime that reads them in the same way (Docker 29's containerd store).
 */
export function planContainerd(input: ContainerdInput, others: readonly PathInForce[] = []): ContainerdPlan {
  const { configs, spare, findings, complete } = readConfigs(input, input.release, input.configFile);
  const unconfigured = configs.length === 0 && complete && input.found;
  const enabled = configs.filter(({ disabled }) => !disabled);
  const decisions = [...enabled, ...(unconfigured ? [undefined] : [])].map((config) =>
    pathInForce(config, input.release),
  );
  const inForce = decisions.flatMap((decision) => decision.inForce ?? []);
  // One that is down for a moment looks there again when it is back.
  const later = spare
    .filter(({ disabled }) => !disabled)
    .flatMap((config) => pathInForce(config).inForce ?? []);
  // Whether there is a default hangs on the release: what lies there stays until a containerd has said which it is.
  const isKnown =
    complete && (!input.found || input.release !== undefined || inForce.length === decisions.length);
  const plan = planHostFolders([...inForce, ...others], input, { complete: isKnown, later });
  return {
    ...plan,
    findings: [...findings, ...decisions.flatMap((decision) => decision.findings), ...plan.findings],
  };
}

export interface FolderKnowledge {
  /** False where there may be more folders: then what lies there for a wanted name stays. */
  readonly complete?: boolean;
  /** Folders that nobody looks in now. They are wired where that can be, and nothing is said of them. */
  readonly later?: readonly PathInForce[];
}

/** As `planContainerd`, where the folders are known. */
export function planHostFolders(
  paths: readonly PathInForce[],
  input: ContainerdInput,
  { complete = true, later = [] }: FolderKnowledge = {},
): ContainerdPlan {
  const names = input.names.flatMap((each) => {
    const name = referenceName(each.name);
    return name === undefined ? [] : [{ ...each, name }];
  });
  const others = later.filter(({ roots: [root] }) => paths.every((path) => path.roots[0] !== root));
  const parts = [
    ...withoutDoubles(paths).map((path) => planPath(path, names, input)),
    ...withoutDoubles(others).map((path) => ({ ...planPath(path, names, input), findings: [] })),
  ];
  const wanted = new Set(parts.flatMap((part) => part.wanted));
  const kept = (path: string) => !complete && names.some(({ name }) => isFolderOf(name, dirname(path)));
  const undone = input.recorded.filter(({ path }) => !wanted.has(path) && !kept(path));
  return {
    paths: [...wanted],
    actions: [...parts.flatMap(({ actions }) => actions), ...planRemoval(undone, input)],
    findings: [
      ...(names.length < input.names.length ? [unusableName()] : []),
      ...parts.flatMap(({ findings }) => findings),
    ],
  };
}

interface PathPlan extends FilePlan {
  readonly wanted: readonly string[];
}

function planPath(path: PathInForce, names: readonly NodeName[], input: ContainerdInput): PathPlan {
  const unusable = unusableRoot(path.roots[0], input);
  if (unusable !== undefined) return { actions: [], wanted: [], findings: [unusable] };
  const parts = names.map((name) => planName(name, path, input));
  const actions = parts.flatMap((part) => part.actions);
  const ours = parts.map(({ hosts }) => hosts).filter((hosts) => isOurs(hosts, actions, input));
  const link = ours.length === 0 ? { actions: [], findings: [] } : planColonLink(path, input, ours);
  return {
    actions: [...actions, ...link.actions],
    findings: [...parts.flatMap(({ findings }) => findings), ...link.findings],
    wanted: parts.flatMap(({ wanted }) => wanted),
  };
}

/** `hosts.toml` first, then what it names. */
function planRemoval(records: readonly FileRecord[], { mirror, read }: ContainerdInput): FileAction[] {
  const isHosts = ({ path }: FileRecord) => path.endsWith('/hosts.toml');
  const ordered = [...records.filter(isHosts), ...records.filter((record) => !isHosts(record))];
  return planManagedRemoval(mirror, ordered, read).map((action) => {
    const hosts = `${dirname(action.path)}/hosts.toml`;
    return action.path === hosts ? action : { ...action, after: [...(action.after ?? []), hosts] };
  });
}

/** Of two containerds with one folder the one with the longer list stands: its link serves both. */
function withoutDoubles(paths: readonly PathInForce[]): PathInForce[] {
  const lists = [...paths].sort((one, other) => other.roots.length - one.roots.length);
  return lists.filter(({ roots: [root] }, at) => lists.findIndex((each) => each.roots[0] === root) === at);
}

/** True where the file is ours now or is about to be. */
function isOurs(path: string, actions: readonly FileAction[], { mirror, read }: ContainerdInput): boolean {
  const state = read(path);
  const now = state.kind === 'file' && mirrorOf(state.content) === mirror;
  return now || actions.some((action) => action.path === path);
}

function isFolderOf(name: string, folder: string): boolean {
  return foldersOf(name, dirname(folder)).includes(folder);
}

function unusableRoot(path: string, { read }: ContainerdInput): Finding | undefined {
  const state = read(path);
  if (state.kind === 'absent' || state.kind === 'folder') return undefined;
  const why = state.kind === 'file' ? 'file' : state.why;
  return { reason: 'UnusablePath', path, message: `Not a folder: ${why}`, blocks: true };
}

function unusableName(): Finding {
  return { reason: 'UnusableName', message: 'A name is no host of an image reference', blocks: true };
}
