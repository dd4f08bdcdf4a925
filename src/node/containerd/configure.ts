/**
 * Plans `config_path` in the configuration of a containerd that reads no `hosts.toml` (`spec.nodes.containerd: configure`): one key in
 * `/etc/containerd/config.toml`, every other byte kept, or the file itself where there is none. Pure. containerd must be restarted afterwards.
 *
 * The change is shared by the mirrors of a node; which ones stands in the journal's record (`mirrors`). It is only made where our own reading of
 * the changed files (config.ts) says that containerd then looks in `/etc/containerd/certs.d`, and nothing else differs.
 */
import type { Action, NoteAction, WriteAction } from '../action.ts';
import { type Finding, unusablePath } from '../finding.ts';
import type { FileRecord } from '../journal.ts';
import type { TargetPlan } from '../managed-file.ts';
import { defaultConfigFile } from './command-line.ts';
import { type ContainerdConfig, readConfigs } from './config.ts';
import { pathInForce } from './config-path.ts';
import { certificatesFolder, newFiles, places, textWithoutUs, textWithPath } from './config-text.ts';
import { generationsOf } from './generation.ts';
import type { HostFiles } from './host-files.ts';
import type { KeyPlace } from './toml-text.ts';

export interface ContainerdConfigInput extends HostFiles {
  readonly mirror: string;
  /** True where a containerd is known to be there, configuration file or not. */
  readonly found: boolean;
  /** Of that containerd (`1.7.27`), where it is known. */
  readonly release?: string;
  /** The file that it was started with, where it runs. */
  readonly configFile?: string;
  /** The journal's record of `/etc/containerd/config.toml`, if there is one. */
  readonly record: FileRecord | undefined;
}

export interface ContainerdConfigRemoval extends Pick<HostFiles, 'read'> {
  /** True for the mirrors that do not need it any more. */
  readonly leaves: (mirror: string) => boolean;
  readonly record: FileRecord | undefined;
}

/** Returns what makes containerd look for `hosts.toml`, or why that is not done; nothing where it does already. */
export function planContainerdConfig(input: ContainerdConfigInput): TargetPlan {
  const { record, release, found, configFile } = input;
  const { configs, complete } = readConfigs(input, release, configFile);
  if (!complete) return { actions: [], findings: [] };
  const enabled: (ContainerdConfig | undefined)[] = configs.filter(({ disabled }) => !disabled);
  const broken = configs.find((config) => config.path === defaultConfigFile && isBrokenByUs(config, input));
  if (broken !== undefined)
    return planContainerdConfigRemoval({ leaves: () => true, record, read: input.read });
  if (configs.length === 0 && found) enabled.push(undefined);
  const parts = enabled.map((config) =>
    pathInForce(config, release).inForce === undefined ? planFor(config, input) : joined(config, input),
  );
  return {
    actions: parts.flatMap(({ actions }) => actions),
    findings: parts.flatMap(({ findings }) => findings),
  };
}

/** Returns what takes the mirrors that leave out of the record and, with the last one, our key out of the file: the bytes from before where the file is still what we made of it. */
export function planContainerdConfigRemoval({ leaves, record, read }: ContainerdConfigRemoval): TargetPlan {
  if (record === undefined) return { actions: [], findings: [] };
  const { path } = record;
  const all = record.mirrors ?? [];
  const staying = all.filter((mirror) => !leaves(mirror));
  if (staying.length > 0)
    return { actions: staying.length < all.length ? [note(record, staying)] : [], findings: [] };
  const forget: Action = { do: 'forget', path, after: [path] };
  const state = read(path);
  const refusal = unusablePath(path, state);
  if (refusal !== undefined) return { actions: [], findings: [refusal] };
  if (state.kind !== 'file') return { actions: [forget], findings: [] };
  const { content: expected } = state;
  const text = expected.toString('latin1');
  if (record.original.kind === 'absent' && newFiles.includes(text))
    return { actions: [{ do: 'delete', path, expected }, forget], findings: [] };
  const after = textWithoutUs(text, originalText(record));
  if (after === text) return { actions: [forget], findings: [] };
  if (after === undefined) return { actions: [], findings: [cannotTakeBack(path)] };
  return { actions: [written(expected, after, []), forget], findings: [] };
}

/** True while the file is what we made of it: nobody has changed anything else in it since. */
export function isOnlyOurs(record: FileRecord, read: HostFiles['read']): boolean {
  const state = read(record.path);
  if (state.kind !== 'file') return false;
  const text = state.content.toString('latin1');
  if (record.original.kind === 'absent') return newFiles.includes(text);
  return places.some((place) => textWithPath(originalText(record), place) === text);
}

/** A containerd that reads no `hosts.toml`. */
function planFor(config: ContainerdConfig | undefined, input: ContainerdConfigInput): TargetPlan {
  const path = config?.path ?? defaultConfigFile;
  const objection = objectionTo(config, input);
  if (objection !== undefined) return refused(path, objection);
  const state = input.read(path);
  const current = state.kind === 'file' ? state.content : undefined;
  const before = current?.toString('latin1');
  const after = before === undefined ? newFile(input) : textWithPath(before, placeFor(config, input));
  if (after === undefined || !leadsTo(after, input)) return refused(path, byHand);
  const mirrors = withMirror(input);
  return { actions: [written(current, after, mirrors)], findings: [] };
}

/** A containerd that reads `hosts.toml`: this mirror's name is noted where that is our doing. */
function joined(config: ContainerdConfig | undefined, input: ContainerdConfigInput): TargetPlan {
  const { record, mirror } = input;
  const ours = config?.path === defaultConfigFile && config.configPath === certificatesFolder;
  if (record === undefined || !ours || record.mirrors?.includes(mirror)) return { actions: [], findings: [] };
  return { actions: [note(record, withMirror(input))], findings: [] };
}

/** Somebody added what containerd does not load beside our key. */
function isBrokenByUs(config: ContainerdConfig, { record, release }: ContainerdConfigInput): boolean {
  const isRefused = pathInForce(config, release).findings.some(({ blocks }) => blocks);
  return record !== undefined && config.configPath === certificatesFolder && isRefused;
}

const byHand = `it is written in a way that cannot be edited safely: set config_path to "${certificatesFolder}" in it and restart containerd`;

/** Why the configuration is not ours to change, with what a person can do. */
function objectionTo(
  config: ContainerdConfig | undefined,
  { release }: ContainerdConfigInput,
): string | undefined {
  const { path, maker } = config ?? { path: defaultConfigFile };
  if (maker === 'k3s')
    return 'it is generated at each start: set config_path in the template beside it (config.toml.tmpl, config-v3.toml.tmpl)';
  if (maker === 'k0s') return 'it is managed by k0s: set config_path in a file of /etc/k0s/containerd.d';
  if (path !== defaultConfigFile)
    return `containerd is started with it instead of ${defaultConfigFile}: set config_path in it, and restart containerd`;
  if (config !== undefined && config.mirrors.length + config.configs.length > 0)
    return 'registry.mirrors or registry.configs is in use, beside which containerd may not load its CRI plugin: move them to hosts.toml files, set config_path and restart containerd';
  if (config === undefined && generationsOf(release).length > 1)
    return 'it is not there, and which version to write cannot be told, because containerd does not tell its release';
  return undefined;
}

/** By the file's version; one that states none is version 1, which containerd 1 alone reads in a way that is certain. */
function placeFor(
  config: ContainerdConfig | undefined,
  { release }: ContainerdConfigInput,
): KeyPlace | undefined {
  const version = config?.version ?? 0;
  if (version >= 2) return places[version === 2 ? 0 : 1];
  return generationsOf(release, version).every((generation) => generation === '1') ? places[2] : undefined;
}

function newFile({ release }: ContainerdConfigInput): string | undefined {
  const [generation] = generationsOf(release);
  return newFiles[generation === '1' ? 0 : 1];
}

/** True where containerd, with that text, looks in our folder whatever its release may be. */
function leadsTo(text: string, input: ContainerdConfigInput): boolean {
  const file = { kind: 'file', content: Buffer.from(text, 'latin1'), mode: 0o644, uid: 0, gid: 0 } as const;
  const read: HostFiles['read'] = (path) => (path === defaultConfigFile ? file : input.read(path));
  const { configs, findings, complete } = readConfigs(
    { read, list: input.list },
    input.release,
    input.configFile,
  );
  const config = configs.find(({ path }) => path === defaultConfigFile);
  const decision = pathInForce(config, input.release);
  const isClear = complete && findings.length + decision.findings.length === 0;
  return isClear && decision.inForce?.roots.join() === certificatesFolder;
}

function originalText({ original }: FileRecord): string {
  return original.kind === 'absent' ? '' : Buffer.from(original.content, 'base64').toString('latin1');
}

function withMirror({ record, mirror }: ContainerdConfigInput): string[] {
  return [...new Set([...(record?.mirrors ?? []), mirror])].sort();
}

function note({ path }: FileRecord, mirrors: readonly string[]): NoteAction {
  return { do: 'note', path, mirrors };
}

function written(expected: Buffer | undefined, text: string, mirrors: readonly string[]): WriteAction {
  const record = { kind: 'containerd-config' as const, mirrors };
  return { do: 'write', path: defaultConfigFile, content: Buffer.from(text, 'latin1'), expected, record };
}

function refused(path: string, why: string): TargetPlan {
  const message = `containerd's configuration is not changed: ${why}`;
  return { actions: [], findings: [{ reason: 'CannotConfigure', path, message, blocks: true }] };
}

function cannotTakeBack(path: string): Finding {
  const message =
    'config_path cannot be taken out safely, because the file was edited: remove the line by hand and restart containerd';
  return { reason: 'CannotConfigure', path, message, blocks: true };
}
