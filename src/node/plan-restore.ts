/** Plans the way back: what mirrors that leave have on a node goes, and what lay there before them comes back. Pure. */
import { type Action, reloadAfter } from './action.ts';
import { planContainerdConfigRemoval } from './containerd/configure.ts';
import { planHostFolders } from './containerd/target.ts';
import { mirrorsInDaemon, planDockerDaemonRemoval } from './docker-daemon.ts';
import type { NodeFacts } from './facts.ts';
import { type Finding, unusablePath } from './finding.ts';
import { type HostView, recordedFiles, viewAfter } from './host-view.ts';
import { mirrorsIn } from './hosts-file.ts';
import type { FileRecord } from './journal.ts';
import { mirrorOf, planManagedRemoval } from './managed-file.ts';
import type { NodePlaces } from './options.ts';
import { hostsPaths, planHostsRemoval } from './plan-hosts.ts';

/** A file of a mirror, as far as the journal or the configuration knows. */
export interface OwnedFile {
  readonly path: string;
  readonly mirror: string;
  readonly kind: FileRecord['kind'];
}

export interface RestoreInput {
  readonly places: NodePlaces;
  readonly facts: NodeFacts;
  readonly leaves: (mirror: string) => boolean;
  /** Where files may lie that the journal has lost. */
  readonly known: readonly OwnedFile[];
}

export interface RestorePlan {
  readonly actions: readonly Action[];
  readonly findings: readonly Finding[];
  readonly targets: readonly [];
}

/** Hosts lines first, then what sends pulls to the mirror, then trust. */
export function planRestore(input: RestoreInput, view: HostView): RestorePlan {
  const { places, facts, leaves } = input;
  const paths = [...new Set([places.hostsFile, ...hostsPaths(view)])];
  const hosts = paths.flatMap((path) => planHostsRemoval(path, leaves, view));
  const daemon = planDaemon(leaves, viewAfter(view, hosts));
  const [record] = recordedFiles(view, 'containerd-config');
  const config = planContainerdConfigRemoval({ leaves, record, read: view.read });
  const files = ownedFiles(input, view);
  const registries = removalsOf(['containers-registries'], files, view);
  const reload = facts.crio?.running === true ? reloadAfter('crio', registries) : [];
  return {
    actions: [
      ...hosts,
      ...daemon.actions,
      ...registries,
      ...reload,
      ...hostFolders(files, view),
      ...config.actions,
      ...removalsOf(['docker-ca'], files, view),
    ],
    findings: [
      ...[...paths, ...backups(view), ...files.map(({ path }) => path)].flatMap((path) =>
        unusable(path, view),
      ),
      ...daemon.findings,
      ...config.findings,
    ],
    targets: [],
  };
}

/** The mirrors that have something on the node. */
export function ownersIn(hostsFile: string, view: HostView): string[] {
  const paths = [...new Set([hostsFile, ...hostsPaths(view)])];
  const states = paths.map((path) => view.read(path));
  const lines = states.flatMap((state) => (state.kind === 'file' ? mirrorsIn(state.content) : []));
  const records = view.records.filter((record): record is FileRecord => record.kind !== 'folder');
  const files = records.flatMap(({ mirror }) => mirror ?? []);
  // A dockerd that was not told yet goes on asking what the file has no more.
  const isOwed = view.owed?.includes('dockerd') ?? false;
  const urls = records.flatMap((record) => {
    const all = Object.values(record.urls ?? {});
    return all.length < 2 || isOwed ? all : mirrorsInDaemon(record, view.read(record.path));
  });
  const sharers = records.flatMap(({ mirrors = [] }) => mirrors);
  return [...new Set([...lines, ...files, ...urls, ...sharers])].sort();
}

function planDaemon(leaves: (mirror: string) => boolean, view: HostView) {
  const [record] = recordedFiles(view, 'docker-daemon');
  if (record === undefined) return { actions: [], findings: [] };
  const owed = view.owed?.includes('dockerd') ?? false;
  return planDockerDaemonRemoval({ leaves, record, read: view.read, owed });
}

/** The files that are each wholly one mirror's. */
const ownKinds: readonly FileRecord['kind'][] = ['docker-ca', 'containerd-hosts', 'containers-registries'];

type Removable = Pick<FileRecord, 'path' | 'kind' | 'original'> & { readonly mirror: string };

function ownedFiles({ leaves, known }: RestoreInput, view: HostView): Removable[] {
  const recorded = ownKinds
    .flatMap((kind) => recordedFiles(view, kind))
    .flatMap(({ mirror = '', ...record }) => (leaves(mirror) ? [{ ...record, mirror }] : []));
  const isLost = ({ path, mirror }: OwnedFile) => {
    const state = view.read(path);
    const isThere = state.kind === 'file' && mirrorOf(state.content) === mirror;
    return isThere && leaves(mirror) && !view.records.some((record) => record.path === path);
  };
  const lost = known.filter(isLost).map((file) => ({ ...file, original: { kind: 'absent' as const } }));
  return [...recorded, ...lost];
}

function removalsOf(
  kinds: readonly FileRecord['kind'][],
  files: readonly Removable[],
  view: HostView,
): Action[] {
  const chosen = files.filter(({ kind }) => kinds.includes(kind));
  // What names a certificate goes before it.
  const isTrust = ({ path }: Removable) => path.endsWith('.crt');
  const ordered = [...chosen.filter((file) => !isTrust(file)), ...chosen.filter(isTrust)];
  return ordered.flatMap((file) => planManagedRemoval(file.mirror, [file], view.read));
}

function hostFolders(files: readonly Removable[], view: HostView): Action[] {
  const chosen = files.filter(({ kind }) => kind === 'containerd-hosts');
  const mirrors = [...new Set(chosen.map(({ mirror }) => mirror))];
  return mirrors.flatMap((mirror) => {
    const recorded = chosen.filter((file) => file.mirror === mirror);
    const nothing = {
      names: [],
      endpoint: '',
      bundle: undefined,
      foreignFiles: 'refuse',
      found: false,
    } as const;
    const list = (path: string) => view.list(path) ?? [];
    return planHostFolders([], { ...nothing, mirror, recorded, read: view.read, list }).actions;
  });
}

function unusable(path: string, view: HostView): Finding[] {
  return [unusablePath(path, view.read(path)) ?? []].flat();
}

function backups(view: HostView): string[] {
  return recordedFiles(view, 'hosts').flatMap(({ backup }) => backup ?? []);
}
