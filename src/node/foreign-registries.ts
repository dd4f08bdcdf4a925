/** What others have configured for CRI-O, podman and skopeo, and whether that leaves room for a drop-in of ours. Pure. */
import type { FileState } from './files.ts';
import type { Finding } from './finding.ts';
import { type ForeignFiles, mirrorOf } from './managed-file.ts';
import { covers, isWithin, parseRegistries, type Registry } from './registries-conf.ts';

export const registriesFile = '/etc/containers/registries.conf';
export const dropInFolder = '/etc/containers/registries.conf.d';
/** Of root, whom CRI-O and a podman of the system run as. */
export const userRegistriesFile = '/root/.config/containers/registries.conf';
export const userDropInFolder = '/root/.config/containers/registries.conf.d';

export interface RegistriesView {
  readonly read: (path: string) => FileState;
  /** The names in a folder; none where it is absent, undefined where it cannot be read. */
  readonly list: (folder: string) => readonly string[] | undefined;
}

/** The tables of other people, each with its file. */
export interface ForeignRegistries {
  readonly tables: readonly { readonly path: string; readonly registry: Registry }[];
  /** Files that nobody can tell the content of. */
  readonly findings: readonly Finding[];
}

/** Everything that is in force for the system and is not ours, in the order in which it is read. */
export function readForeign({ read, list }: RegistriesView): ForeignRegistries {
  const folders = [dropInFolder, userDropInFolder].map((folder) => ({ folder, names: list(folder) }));
  const dropIns = folders.flatMap(({ folder, names = [] }) =>
    [...names].sort().flatMap((name) => (name.endsWith('.conf') ? [`${folder}/${name}`] : [])),
  );
  const files = [registriesFile, ...dropIns].map((path) => ({ path, state: read(path) }));
  const readable = files.flatMap(({ path, state }) => (state.kind === 'file' ? [{ path, ...state }] : []));
  const parsed = readable
    .filter(({ content }) => mirrorOf(content) === undefined)
    .map(({ path, content }) => ({ path, registries: parseRegistries(content, path !== registriesFile) }));
  return {
    tables: parsed.flatMap(({ path, registries = [] }) => registries.map((registry) => ({ path, registry }))),
    findings: [
      ...folders.flatMap(({ folder, names }) =>
        names === undefined ? [unusable(folder, 'unreadable')] : [],
      ),
      ...files.flatMap(({ path, state }) => (state.kind === 'unusable' ? [unusable(path, state.why)] : [])),
      ...(read(registriesFile).kind === 'folder' ? [unusable(registriesFile, 'folder')] : []),
      ...(read(dropInFolder).kind === 'file' ? [unusable(dropInFolder, 'not a folder')] : []),
      ...parsed.flatMap(({ path, registries }) => (registries === undefined ? [unparsable(path)] : [])),
    ],
  };
}

/** With this file root's programs read nothing below /etc/containers; those of others do. */
export function userFindings({ read }: RegistriesView): Finding[] {
  if (read(userRegistriesFile).kind === 'absent') return [];
  return [
    refused('UserRegistriesFile', userRegistriesFile, 'It replaces the configuration of the system for root'),
  ];
}

/** What a table says against a drop-in of ours, at the path `ours`, for `prefix`. One that does not block is only to be known. */
export function objection(
  { path, registry }: ForeignRegistries['tables'][number],
  prefix: string,
  ours: string,
  foreignFiles: ForeignFiles,
): Finding | undefined {
  if (isWithin(registry, prefix)) return aside(path, registry, prefix);
  if (!covers(registry, prefix)) return undefined;
  if (registry.blocked) return refused('BlockedRegistry', path, `${registry.prefix} is blocked there`);
  // A wildcard is shorter than any name of ours, wherever it stands.
  const replacesOurs = registry.prefix === prefix && isAfter(path, ours);
  if (!registry.matters && !replacesOurs) return undefined;
  if (foreignFiles === 'takeover' && !replacesOurs) {
    const message = `Its table for ${registry.prefix} is out of force until the restore`;
    return { reason: 'TakenOver', path, message, blocks: false };
  }
  return refused('ForeignRegistry', path, `It has a table for ${registry.prefix}, which is kept`);
}

/** Read after `ours`: the drop-ins of root's own folder come after those of the system. */
function isAfter(path: string, ours: string): boolean {
  return path.startsWith(userDropInFolder) || (path !== registriesFile && path > ours);
}

function aside(path: string, registry: Registry, prefix: string): Finding {
  const message = `Images of ${registry.prefix} go its way, not that of ${prefix}`;
  return { reason: 'LongerPrefix', path, message, blocks: false };
}

function unparsable(path: string): Finding {
  return refused('UnparsableFile', path, 'It does not parse, so that every pull fails; nothing is written');
}

function unusable(path: string, why: string): Finding {
  return refused('UnusablePath', path, `It cannot be read: ${why}`);
}

function refused(reason: string, path: string, message: string): Finding {
  return { reason, path, message, blocks: true };
}
