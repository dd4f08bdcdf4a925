/**
 * Reads containerd's own configuration: where its CRI plugin looks for `hosts.toml`. Pure over `read` and `list`.
 *
 * `imports` are followed as containerd does: breadth first, each file once, relative to the file that names them. A later file wins. Up to 1.7 a
 * later file replaces a plugin's whole table, newer ones merge it key by key.
 */
import { posix } from 'node:path';
import { parse } from 'smol-toml';
import type { Finding } from '../finding.ts';
import { expandGlob } from './glob.ts';
import type { HostFiles } from './host-files.ts';

/** One containerd's configuration, imports included. */
export interface ContainerdConfig {
  /** The file that it is started with. */
  readonly path: string;
  /** All files that were read; the values are in force for a containerd that was started after the last change to any. */
  readonly files: readonly string[];
  /** As written; 0 where the file says none, which is read as 1. */
  readonly version: number;
  /** `registry.config_path` as written; undefined where it is unset or empty. */
  readonly configPath?: string;
  /** The keys of `registry.mirrors` and `registry.configs`. */
  readonly mirrors: readonly string[];
  readonly configs: readonly string[];
  /** True where one of `registry.configs` has `tls`, which containerd does not load beside `config_path`. */
  readonly hasTls: boolean;
  /** True where the CRI plugin is disabled: Docker's and a builder's containerd. */
  readonly disabled: boolean;
}

export interface ConfigReading {
  readonly configs: readonly ContainerdConfig[];
  readonly findings: readonly Finding[];
  /** False where a file could not be understood: what is not in `configs` may be in force all the same. */
  readonly complete: boolean;
}

/** The file of containerd itself and of its packages. */
export const defaultConfigFile = '/etc/containerd/config.toml';

interface Place {
  readonly path: string;
  /** Files that the distribution puts into the configuration when it starts. */
  readonly dropIns?: string;
  /** Imports that are made at each start, and need not be there. */
  readonly generated?: string;
}

const places: readonly Place[] = [
  { path: defaultConfigFile },
  { path: '/var/lib/rancher/k3s/agent/etc/containerd/config.toml' },
  { path: '/var/lib/rancher/rke2/agent/etc/containerd/config.toml' },
  { path: '/etc/k0s/containerd.toml', dropIns: '/etc/k0s/containerd.d/*.toml', generated: '/run/k0s/' },
];

/** Returns every containerd configuration on the host. `release` is that of containerd (`1.7.27`), where it is known. */
export function readConfigs(host: HostFiles, release?: string): ConfigReading {
  const readings = places.map((place) => readPlace(place, host, release));
  return {
    configs: readings.flatMap(({ configs }) => configs),
    findings: readings.flatMap(({ findings }) => findings),
    complete: readings.every(({ complete }) => complete),
  };
}

/** The major release: what `release` says, else what the configuration's version implies, else undefined. */
export function majorOf(release: string | undefined, version = 0): number | undefined {
  const stated = /^v?(\d+)\./.exec(release ?? '')?.[1];
  if (stated !== undefined) return Number(stated);
  return version >= 3 ? 2 : undefined;
}

type Table = Readonly<Record<string, unknown>>;

interface Document {
  readonly path: string;
  readonly content: Table;
}

function readPlace(place: Place, host: HostFiles, release: string | undefined): ConfigReading {
  const { documents, findings } = load(place, host);
  const [root] = documents;
  const complete = !findings.some(({ blocks }) => blocks);
  if (root === undefined || !complete) return { configs: [], findings, complete };
  const version = versionOf(root.content);
  const plugins = documents.map(({ content }) => pluginOf(content, version, majorOf(release, version)));
  const { registry, uncertain } = mergedRegistry(plugins, majorOf(release, version));
  const configPath = textOf(registry['config_path']);
  const config: ContainerdConfig = {
    path: root.path,
    files: documents.map(({ path }) => path),
    version,
    ...(configPath !== undefined && { configPath }),
    mirrors: Object.keys(tableOf(registry['mirrors'])),
    configs: Object.keys(tableOf(registry['configs'])),
    hasTls: Object.values(tableOf(registry['configs'])).some((each) => 'tls' in tableOf(each)),
    disabled: documents.some(({ content }) => disablesCri(content)),
  };
  return {
    configs: [config],
    findings: [...findings, ...(uncertain ? [uncertainPath(config)] : [])],
    complete,
  };
}

/** Reads the file and everything it imports. Nothing for a file that is not there. */
function load(place: Place, host: HostFiles): { documents: Document[]; findings: Finding[] } {
  const documents: Document[] = [];
  const findings: Finding[] = [];
  const pending = [place.path];
  for (const path of pending) {
    const loaded = readDocument(path, host);
    if (loaded === undefined) {
      if (path !== place.path && !(place.generated && path.startsWith(place.generated)))
        findings.push(missing(path));
    } else if ('reason' in loaded) findings.push(loaded);
    else {
      documents.push(loaded);
      const dropIns = path === place.path ? (place.dropIns ?? []) : [];
      const imports = [...importsOf(loaded), ...[dropIns].flat()].flatMap((each) => expandGlob(each, host));
      pending.push(...imports.filter((each) => !pending.includes(each)));
    }
  }
  return { documents, findings };
}

function readDocument(path: string, { read }: HostFiles): Document | Finding | undefined {
  const state = read(path);
  if (state.kind === 'absent') return undefined;
  if (state.kind !== 'file') {
    const why = state.kind === 'folder' ? 'folder' : state.why;
    return { reason: 'UnusablePath', path, message: `Not a file: ${why}`, blocks: true };
  }
  try {
    return { path, content: parse(state.content.toString(), { integersAsBigInt: 'asNeeded' }) };
  } catch {
    const message = 'Not TOML: what containerd has in force cannot be told';
    return { reason: 'UnreadableConfig', path, message, blocks: true };
  }
}

function importsOf({ path, content }: Document): string[] {
  const imports = content['imports'];
  if (!Array.isArray(imports)) return [];
  return imports
    .filter((each) => typeof each === 'string')
    .map((each) => posix.resolve(posix.dirname(path), each));
}

function versionOf(content: Table): number {
  const version = content['version'];
  return typeof version === 'number' && Number.isSafeInteger(version) ? version : 0;
}

const namesBefore3 = 'io.containerd.grpc.v1.cri';
const namesSince3 = 'io.containerd.cri.v1.images';

/** The table of the plugin that pulls, by the file's own version; a drop-in that states none is read by its root's. */
function pluginOf(content: Table, rootVersion: number, major: number | undefined): Table | undefined {
  const version = versionOf(content) || rootVersion;
  const plugins = tableOf(content['plugins']);
  if (version >= 3)
    return (
      tableIn(plugins, namesSince3) ?? (versionOf(content) === 0 ? tableIn(plugins, namesBefore3) : undefined)
    );
  if (version === 2) return tableIn(plugins, namesBefore3);
  // Version 1 has short names; containerd 2 understands long ones there as well.
  return tableIn(plugins, 'cri') ?? (major === 1 ? undefined : tableIn(plugins, namesBefore3));
}

/** `uncertain`: the releases' two ways to merge give different answers and the release does not say which one holds. */
function mergedRegistry(
  plugins: readonly (Table | undefined)[],
  major: number | undefined,
): { registry: Table; uncertain: boolean } {
  const registries = plugins.flatMap((plugin) => (plugin === undefined ? [] : [tableOf(plugin['registry'])]));
  const replaced = registries.at(-1) ?? {};
  const merged = registries.reduce<Table>(mergeTables, {});
  if (major === 1) return { registry: replaced, uncertain: false };
  return { registry: merged, uncertain: textOf(replaced['config_path']) !== textOf(merged['config_path']) };
}

/** An empty text does not replace one that is set. */
function mergeTables(one: Table, other: Table): Table {
  const merged: Record<string, unknown> = { ...one };
  for (const [key, value] of Object.entries(other)) {
    if (value === '' && key in one) continue;
    merged[key] = isTable(value) ? mergeTables(tableOf(one[key]), value) : value;
  }
  return merged;
}

function disablesCri(content: Table): boolean {
  const disabled = content['disabled_plugins'];
  return (
    Array.isArray(disabled) && ['cri', namesBefore3, namesSince3].some((name) => disabled.includes(name))
  );
}

function missing(path: string): Finding {
  const message = 'The configuration imports a file that is not there: containerd does not start like this';
  return { reason: 'MissingImport', path, message, blocks: false };
}

function uncertainPath({ path, configPath }: ContainerdConfig): Finding {
  const message = `config_path ${configPath} is in force in releases that merge imports key by key, in others it is not: state it in the last file that has the plugin's table`;
  return { reason: 'UncertainConfigPath', path, message, blocks: false };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function tableIn(tables: Table, name: string): Table | undefined {
  const value = Object.hasOwn(tables, name) ? tables[name] : undefined;
  return isTable(value) ? value : undefined;
}

function tableOf(value: unknown): Table {
  return isTable(value) ? value : {};
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
