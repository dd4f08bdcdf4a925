/**
 * Reads containerd's own configuration: where its CRI plugin looks for `hosts.toml`. Pure over `read` and `list`.
 *
 * `imports` are followed as containerd does: breadth first, each file once, a later file wins. Releases differ (seen with 1.6.20 and 2.4.2, read in
 * the source of those between): 1.x expands a relative glob in `/`, where systemd starts it, lets a later file replace a plugin's whole table, and
 * reads all files by the last `version` stated; 2.x expands it beside the file, merges key by key, and reads each file by its own version.
 */
import type { Finding } from '../finding.ts';
import { defaultConfigFile } from './command-line.ts';
import { type Document, loadFiles, type Place } from './config-files.ts';
import { type Generation, generationsOf, majorOf } from './generation.ts';
import type { HostFiles } from './host-files.ts';
import { isTable, type Table, tableIn, tableOf, textOf } from './table.ts';

/** One containerd's configuration, imports included. */
export interface ContainerdConfig {
  /** The file that it is started with. */
  readonly path: string;
  readonly maker?: Place['maker'];
  readonly generated?: Place['generated'];
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
  /** Those that may be in force. */
  readonly configs: readonly ContainerdConfig[];
  /** Those of a containerd that does not run while another one does. */
  readonly spare: readonly ContainerdConfig[];
  /** Of those in `configs`. */
  readonly findings: readonly Finding[];
  /** False where a file could not be understood: what is not in `configs` may be in force all the same. */
  readonly complete: boolean;
}

const places: readonly Place[] = [
  { path: defaultConfigFile },
  placeOfK3s('/var/lib/rancher/k3s'),
  placeOfK3s('/var/lib/rancher/rke2'),
  {
    path: '/etc/k0s/containerd.toml',
    maker: 'k0s',
    dropIns: '/etc/k0s/containerd.d/*.toml',
    generated: '/run/k0s/',
  },
];

/**
 * Returns every containerd configuration on the host. `release` is that of containerd (`1.7.27`), where it is known; `startedWith` the file that the
 * containerd which runs was started with: then that one alone is in force.
 */
export function readConfigs(host: HostFiles, release?: string, startedWith?: string): ConfigReading {
  const running = startedWith === undefined ? undefined : placeOf(startedWith);
  const inForce = running === undefined ? places : [running];
  const others = places.filter((place) => !inForce.some(({ path }) => path === place.path));
  const readings = inForce.map((place) => readPlace(place, host, release));
  const absent = running !== undefined && isMissed(running, readings[0]) ? [notThere(running.path)] : [];
  return {
    configs: readings.flatMap(({ config }) => config ?? []),
    spare: others.flatMap((place) => readPlace(place, host, undefined).config ?? []),
    findings: [...readings.flatMap(({ findings }) => findings), ...absent],
    complete: absent.length === 0 && readings.every(({ complete }) => complete),
  };
}

/** Its `--data-dir` has the configuration in a folder that is always the same. */
function placeOfK3s(folder: string): Place {
  const generated = `${folder}/agent/etc/containerd/`;
  return { path: `${generated}config.toml`, maker: 'k3s', generated };
}

function placeOf(path: string): Place {
  const known = places.find((place) => place.path === path);
  const [, ofK3s] = /^(.*)\/agent\/etc\/containerd\/config\.toml$/.exec(path) ?? [];
  return known ?? (ofK3s === undefined ? { path } : placeOfK3s(ofK3s));
}

/** containerd starts without the default one alone. */
function isMissed({ path }: Place, reading: PlaceReading | undefined): boolean {
  return path !== defaultConfigFile && reading?.config === undefined && reading?.complete === true;
}

interface PlaceReading {
  readonly config?: ContainerdConfig;
  readonly findings: readonly Finding[];
  readonly complete: boolean;
}

/** Where the release is not known and the answer hangs on it, the answer that has a path is given: a file that is not read harms nobody. */
function readPlace(place: Place, host: HostFiles, release: string | undefined): PlaceReading {
  const version = readAs('2.3', place, host).config?.version;
  const readings = generationsOf(release, version).map((generation) => readAs(generation, place, host));
  const [newest, ...others] = readings as [PlaceReading, ...PlaceReading[]];
  if (others.every(({ config }) => config?.configPath === newest.config?.configPath))
    return readings.at(-1) ?? newest;
  const { config } = readings.find((each) => each.config?.configPath !== undefined) ?? newest;
  if (config === undefined) return newest;
  const complete = readings.every((each) => each.complete);
  return { config, findings: [...newest.findings, uncertainPath(config)], complete };
}

function readAs(generation: Generation, place: Place, host: HostFiles): PlaceReading {
  const { documents, findings } = loadFiles(majorOf(generation), place, host);
  const [root] = documents;
  const complete = !findings.some(({ blocks }) => blocks);
  if (root === undefined || !complete) return { findings, complete };
  const registry = registryOf(generation, documents);
  const configPath = textOf(registry['config_path']);
  const configs = tableOf(registry['configs']);
  const config: ContainerdConfig = {
    path: root.path,
    ...(place.maker && { maker: place.maker }),
    ...(place.generated && { generated: place.generated }),
    files: documents.map(({ path }) => path),
    version: versionOf(root.content),
    ...(configPath !== undefined && { configPath }),
    mirrors: Object.keys(tableOf(registry['mirrors'])),
    configs: Object.keys(configs),
    hasTls: Object.values(configs).some((each) => 'tls' in tableOf(each)),
    disabled: documents.some(({ content }) => disablesCri(content)),
  };
  return { config, findings, complete };
}

function versionOf(content: Table): number {
  const version = content['version'];
  return typeof version === 'number' && Number.isSafeInteger(version) ? version : 0;
}

const namesBefore3 = 'io.containerd.grpc.v1.cri';
const namesSince3 = 'io.containerd.cri.v1.images';

/** The table `registry` of the plugin that pulls. */
function registryOf(generation: Generation, documents: readonly Document[]): Table {
  const versions = documents.map(({ content }) => versionOf(content));
  const last = versions.findLast((version) => version > 0) ?? 0;
  const registries = documents.map(({ content }) => {
    const plugins = tableOf(content['plugins']);
    const version = versionOf(content);
    if (generation === '1') return registryIn(tableIn(plugins, last >= 2 ? namesBefore3 : 'cri'));
    if (generation === '2.3') return migrated(plugins, version);
    return registryIn(pluginOf(plugins, version, versions[0] ?? 0));
  });
  const stated = registries.filter((registry) => registry !== undefined);
  return generation === '1' ? (stated.at(-1) ?? {}) : stated.reduce(mergeTables, {});
}

/** Of a plugin's table, if there is one. */
function registryIn(plugin: Table | undefined): Table | undefined {
  return plugin && tableOf(plugin['registry']);
}

/** By the file's own version; one that states none may use the names of any up to its root's. */
function pluginOf(plugins: Table, version: number, rootVersion: number): Table | undefined {
  if (version >= 3) return tableIn(plugins, namesSince3);
  if (version === 2) return tableIn(plugins, namesBefore3);
  const newest = rootVersion >= 3 ? tableIn(plugins, namesSince3) : undefined;
  return newest ?? tableIn(plugins, namesBefore3) ?? tableIn(plugins, 'cri');
}

/** A file of any version before 4 is migrated: what stands under the old name replaces what stands under the new one. */
function migrated(plugins: Table, version: number): Table | undefined {
  const short = version < 2 ? tableIn(plugins, 'cri') : undefined;
  const old = version < 4 ? (tableIn(plugins, namesBefore3) ?? short) : undefined;
  return registryIn(old !== undefined && 'registry' in old ? old : tableIn(plugins, namesSince3));
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

function notThere(path: string): Finding {
  const message =
    'containerd was started with this file, which cannot be found: what it has in force cannot be told';
  return { reason: 'UnreadableConfig', path, message, blocks: true };
}

function uncertainPath({ path, configPath }: ContainerdConfig): Finding {
  const message = `config_path ${configPath} is in force in some releases and not in others: state the version in every file, and config_path in the last one that has the plugin's table`;
  return { reason: 'UncertainConfigPath', path, message, blocks: false };
}
