/** Puts the targets' plans together: what a wiring or a restore has to do on this node now. Pure over what `view` reads. */
import { dirname } from 'node:path';
import type { Action } from './action.ts';
import type { CaBundle } from './ca-bundle.ts';
import { certificatePath, planDockerCa } from './docker-ca.ts';
import type { FileState } from './files.ts';
import { type Finding, unusablePath } from './finding.ts';
import { mirrorsIn, planHostsFile, withoutMirrors } from './hosts-file.ts';
import type { FileRecord, JournalRecord } from './journal.ts';
import { planManagedRemoval } from './managed-file.ts';
import type { AgentOptions } from './options.ts';

/** What a plan is made of: the host's files and the journal. */
export interface HostView {
  readonly read: (path: string) => FileState;
  readonly records: readonly JournalRecord[];
}

export interface Plan {
  readonly actions: readonly Action[];
  readonly findings: readonly Finding[];
}

/** Trust first: a hosts line without it would break pulls that work without a mirror. */
export function planWiring(options: AgentOptions, bundle: CaBundle | undefined, view: HostView): Plan {
  const { mirror } = options;
  const docker = planDockerCa({
    mirror,
    names: options.certificateNames,
    bundle,
    recorded: recordedCertificates(view, mirror),
    read: view.read,
  });
  const hosts = planHosts(options, untrusted(options, docker.actions, view), docker.actions, view);
  const others = hostsPaths(view).filter((path) => path !== options.hostsFile);
  return {
    actions: [
      ...docker.actions,
      ...hosts.actions,
      ...others.flatMap((path) => planHostsRemoval(path, (name) => name === mirror, view)),
    ],
    findings: [...caFindings(options, bundle), ...docker.findings, ...hosts.findings],
  };
}

/** A ca.crt of a mirror, as far as the journal or the configuration knows. */
export interface OwnedFile {
  readonly path: string;
  readonly mirror?: string;
}

/**
 * Takes back what the mirrors for which `leaves` is true have on this node: the hosts lines first, then the trust. `known`: where a file may lie that
 * the journal has lost.
 */
export function planRestore(
  hostsFile: string,
  leaves: (mirror: string) => boolean,
  view: HostView,
  known: readonly OwnedFile[] = [],
): Plan {
  const paths = new Set([hostsFile, ...hostsPaths(view)]);
  const recorded = recordedFiles(view, leaves);
  const unrecorded = known
    .filter(({ path }) => view.read(path).kind === 'file' && !view.records.some((each) => each.path === path))
    .map((file) => ({ ...file, kind: 'docker-ca' as const, original: { kind: 'absent' as const } }));
  const files = [...recorded, ...unrecorded];
  return {
    actions: [
      ...[...paths].flatMap((path) => planHostsRemoval(path, leaves, view)),
      ...files.flatMap((file) => planManagedRemoval(file.mirror ?? '', [file], view.read)),
    ],
    findings: [...paths, ...backups(view), ...files.map(({ path }) => path)].flatMap((path) =>
      unusable(path, view),
    ),
  };
}

function planHosts(
  options: AgentOptions,
  untrustedPaths: readonly string[],
  before: readonly Action[],
  view: HostView,
): Plan {
  const path = options.hostsFile;
  const state = view.read(path);
  if (options.entries.length === 0)
    return { actions: planHostsRemoval(path, isMirror(options), view), findings: [] };
  if (state.kind !== 'file' && state.kind !== 'absent')
    return { actions: [], findings: unusable(path, view) };
  const current = state.kind === 'file' ? state.content : undefined;
  const wired = current !== undefined && mirrorsIn(current).includes(options.mirror);
  if (untrustedPaths.length > 0 && !wired) {
    const message = `No line is written before ${untrustedPaths.join(', ')} exists`;
    return { actions: [], findings: [{ reason: 'NotTrusted', path, message, blocks: true }] };
  }
  const policy = { mirror: options.mirror, foreignLines: options.foreignLines, path };
  const { content, findings } = planHostsFile(current, options.entries, policy);
  if (content === undefined) return { actions: [], findings };
  const record = { kind: 'hosts' as const, ...backupOf(options.hostsBackup, view) };
  const after = before.filter((action) => action.do === 'write').map((action) => action.path);
  return { actions: [{ do: 'write', path, content, expected: current, record, after }], findings };
}

/** Our lines go; once no mirror has a line left, so do the file (if it was ours alone), the backup we made and the record. */
function planHostsRemoval(path: string, leaves: (mirror: string) => boolean, view: HostView): Action[] {
  const state = view.read(path);
  if (state.kind !== 'file' && state.kind !== 'absent') return [];
  const record = view.records.find((each) => each.path === path && each.kind === 'hosts');
  const expected = state.kind === 'file' ? state.content : Buffer.alloc(0);
  const content = withoutMirrors(expected, leaves);
  const last = mirrorsIn(content).length === 0;
  if (content.equals(expected)) return last && record !== undefined ? forgetHosts(path, record, view) : [];
  const rest = last ? forgetHosts(path, record, view) : [];
  const absentBefore = record?.kind === 'hosts' && record.original.kind === 'absent';
  if (content.length === 0 && absentBefore) return [{ do: 'delete', path, expected }, ...rest];
  return [{ do: 'write', path, content, expected, record: { kind: 'hosts' } }, ...rest];
}

function forgetHosts(path: string, record: JournalRecord | undefined, view: HostView): Action[] {
  const forget: Action = { do: 'forget', path, after: [path] };
  if (record === undefined || record.kind === 'folder') return [forget];
  const { backup, original } = record;
  const state = backup === undefined ? undefined : view.read(backup);
  if (state?.kind === 'unusable') return [];
  if (backup === undefined || state?.kind !== 'file' || original.kind !== 'file') return [forget];
  if (!state.content.equals(Buffer.from(original.content, 'base64'))) return [forget];
  return [
    { do: 'delete', path: backup, expected: state.content, after: [path] },
    { ...forget, after: [path, backup] },
  ];
}

/** The backup's path if it is ours to make: a file that is there (or in place of its folder) is the first backup and stays. */
function backupOf(configured: string, view: HostView): { backup?: string } {
  const path = view.read(configured).kind === 'folder' ? `${configured}/hosts` : configured;
  const exists = [path, dirname(path)].some((each) => view.read(each).kind === 'file');
  return exists ? {} : { backup: path };
}

/** The ca.crt files that neither exist nor are about to. */
function untrusted(options: AgentOptions, planned: readonly Action[], view: HostView): string[] {
  const written = planned.filter((action) => action.do === 'write').map((action) => action.path);
  return options.certificateNames
    .map(certificatePath)
    .filter((path) => !written.includes(path) && view.read(path).kind !== 'file');
}

function caFindings(options: AgentOptions, bundle: CaBundle | undefined): Finding[] {
  if (bundle !== undefined || options.certificateNames.length === 0) return [];
  const message = `No usable CA bundle in ${options.caFile}; what lies on the node stays`;
  return [{ reason: 'NoCertificateAuthority', message, blocks: true }];
}

function unusable(path: string, view: HostView): Finding[] {
  return [unusablePath(path, view.read(path)) ?? []].flat();
}

function hostsPaths(view: HostView): string[] {
  return view.records.filter((record) => record.kind === 'hosts').map((record) => record.path);
}

function backups(view: HostView): string[] {
  return view.records.flatMap((record) => (record.kind === 'hosts' && record.backup ? [record.backup] : []));
}

function recordedCertificates(view: HostView, mirror: string): FileRecord[] {
  return recordedFiles(view, (name) => name === mirror).filter(({ kind }) => kind === 'docker-ca');
}

/** Files that several mirrors have a part in. */
const sharedKinds: readonly JournalRecord['kind'][] = ['folder', 'hosts', 'docker-daemon'];

/** The files that are each wholly one mirror's. */
function recordedFiles(view: HostView, leaves: (mirror: string) => boolean): FileRecord[] {
  return view.records.filter(
    (record): record is FileRecord =>
      !sharedKinds.includes(record.kind) && leaves((record as FileRecord).mirror ?? ''),
  );
}

function isMirror(options: AgentOptions): (mirror: string) => boolean {
  return (mirror) => mirror === options.mirror;
}
