/**
 * Decides which folders containerd looks in for `hosts.toml`. Pure.
 *
 * `config_path` may be a list with `:`. The pull path of containerd 2 (the transfer service) takes the list for the name of one folder and finds
 * nothing (containerd#12415, #12636, #12808); a link of that name to the list's first folder mends it without a restart.
 */
import { posix } from 'node:path';
import type { Finding } from '../finding.ts';
import type { FilePlan } from '../managed-file.ts';
import { defaultConfigFile } from './command-line.ts';
import type { ContainerdConfig } from './config.ts';
import { type Generation, generationsOf } from './generation.ts';
import type { HostFiles } from './host-files.ts';

/** Where containerd looks from 2.2 on when its configuration says nothing. */
const defaultPath = '/etc/containerd/certs.d:/etc/docker/certs.d';

export interface PathInForce {
  /** The folders in the order in which they are searched; ours go into the first. */
  readonly roots: readonly [string, ...string[]];
  /** The list as one folder's name, where containerd may take it for one. */
  readonly literal?: string;
}

export interface PathDecision {
  /** Undefined: containerd reads no `hosts.toml`. */
  readonly inForce?: PathInForce;
  readonly findings: readonly Finding[];
}

/** `config` is undefined for a containerd without a configuration file. */
export function pathInForce(config: ContainerdConfig | undefined, release?: string): PathDecision {
  const path = config?.path ?? defaultConfigFile;
  const { mirrors = [], configs = [], hasTls = false, configPath } = config ?? {};
  const possible = generationsOf(release, config?.version);
  if (configPath !== undefined) {
    const { inForce, findings } = rootsOf(configPath, path, possible);
    const refused = mirrors.length > 0 || (hasTls && possible.includes('1'));
    return { ...(inForce && { inForce }), findings: [...findings, ...(refused ? [conflict(path)] : [])] };
  }
  const without = possible.filter((generation) => !hasDefault(generation));
  if (mirrors.length > 0 || without.includes('1') || without.length === possible.length)
    return { findings: [unset(path, mirrors.length + configs.length > 0)] };
  const { inForce, findings } = rootsOf(defaultPath, path, possible);
  return {
    ...(inForce && { inForce }),
    findings: [...findings, ...(without.length > 0 ? [perhapsUnset(path)] : [])],
  };
}

function hasDefault(generation: Generation): boolean {
  return generation === '2.2' || generation === '2.3';
}

/** Plans the link that makes a list work in containerd 2. `after`: files that must be there before. */
export function planColonLink(
  { roots, literal }: PathInForce,
  { read }: HostFiles,
  after: readonly string[],
): FilePlan {
  if (literal === undefined) return { actions: [], findings: [] };
  const [target] = roots;
  const state = read(literal);
  if (state.kind === 'absent')
    return { actions: [{ do: 'link', path: literal, target, after }], findings: [] };
  // Our link, or a folder that somebody made: it serves if the same files are in it.
  const seen = (path: string) => read(`${literal}${path.slice(target.length)}`);
  if (state.kind === 'folder' && after.every((path) => isSame(read(path), seen(path))))
    return { actions: [], findings: [] };
  const message = `containerd 2 takes config_path for the name of one folder, and what lies there does not lead to ${target}: set config_path to ${target} alone and restart containerd`;
  return { actions: [], findings: [{ reason: 'ColonTrap', path: literal, message, blocks: true }] };
}

function rootsOf(configPath: string, path: string, possible: readonly Generation[]): PathDecision {
  const parts = configPath.split(':').filter((part) => part !== '');
  const [first, ...others] = parts.map(withoutSlash);
  if (first === undefined || !parts.every((part) => posix.isAbsolute(part))) {
    const message = 'config_path is not an absolute path';
    return { findings: [{ reason: 'UnusableConfigPath', path, message, blocks: true }] };
  }
  const trapped = configPath.includes(':') && possible.some((generation) => generation !== '1');
  const roots: PathInForce['roots'] = [first, ...others];
  return { inForce: { roots, ...(trapped && { literal: withoutSlash(configPath) }) }, findings: [] };
}

function withoutSlash(path: string): string {
  return posix.normalize(path).replace(/(?<=.)\/$/, '');
}

function isSame(one: ReturnType<HostFiles['read']>, other: ReturnType<HostFiles['read']>): boolean {
  if (one.kind !== 'file' || other.kind !== 'file') return one.kind === other.kind;
  return one.content.equals(other.content);
}

function unset(path: string, legacy: boolean): Finding {
  const instead = legacy
    ? 'registry.mirrors or registry.configs is used instead of it; move them to hosts.toml, '
    : '';
  const message = `config_path is not set: containerd reads no hosts.toml; ${instead}set it to "/etc/containerd/certs.d" and restart containerd`;
  return { reason: 'ConfigPathUnset', path, message, blocks: true };
}

function perhapsUnset(path: string): Finding {
  const message =
    'config_path is not set: releases from 2.2 on look in their default folders, 2.0 and 2.1 read no hosts.toml; set it to "/etc/containerd/certs.d" and restart containerd';
  return { reason: 'UncertainConfigPath', path, message, blocks: false };
}

function conflict(path: string): Finding {
  const message =
    'registry.mirrors or tls of registry.configs stands beside config_path: containerd does not load its CRI plugin like this';
  return { reason: 'MirrorsBesideConfigPath', path, message, blocks: true };
}
