/**
 * The folder of a name below `config_path`: which one containerd takes, and what one of ours would hide from it. Pure.
 *
 * For each root in turn containerd takes the first folder that exists of `<host>_<port>_`, `<host>:<port>`, `_default` (hosts.go, `hostPaths`),
 * whatever is in it. A `hosts.toml` in it counts alone; without one its `*.crt`, `*.cert` and `*.key` are used for the name itself.
 */
import { isIPv6 } from 'node:net';
import { parseCaBundle } from '../ca-bundle.ts';
import type { FileState } from '../files.ts';
import type { Finding } from '../finding.ts';
import { type ForeignFiles, mirrorOf } from '../managed-file.ts';
import type { HostFiles } from './host-files.ts';
import { hostsIn } from './hosts-toml.ts';

/** What a folder of ours takes from the pulls of a name unless it is carried over. */
export interface Hidden {
  /** The certificates (PEM) that the upstream is trusted by. */
  readonly pem?: string;
  readonly findings: readonly Finding[];
}

/** Returns the name as an image reference has it; undefined for what is none, and so can name no folder. */
export function referenceName(name: string): string | undefined {
  const bracketed = isIPv6(name) ? `[${name}]` : name;
  const host = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[-A-Za-z0-9._]*[A-Za-z0-9])?)(?::\d{1,5})?$/.exec(
    bracketed,
  )?.[1];
  if (host === undefined || host.includes('..')) return undefined;
  return host.startsWith('[') && !isIPv6(host.slice(1, -1)) ? undefined : bracketed;
}

/** The folders that are a name's alone, in the order in which containerd looks for them. */
export function foldersOf(name: string, root: string): string[] {
  const colon = name.lastIndexOf(':');
  const underscored = colon > 0 ? [`${name.slice(0, colon)}_${name.slice(colon + 1)}_`] : [];
  return [...underscored, name].map((each) => `${root}/${each}`);
}

/** The folder that ours is: the one that containerd takes now, or the one that a person would make. */
export function folderFor(name: string, root: string, { read }: HostFiles): string {
  const folders = foldersOf(name, root);
  return folders.find((folder) => read(folder).kind !== 'absent') ?? `${root}/${name}`;
}

/** What containerd uses for a name without us, if `folder` is ours. Another folder of the name itself is a foreign file like any other. */
export function hiddenBy(
  folder: string,
  name: string,
  roots: readonly string[],
  host: HostFiles & { readonly foreignFiles: ForeignFiles },
): Hidden {
  const used = usedWithout(folder, name, roots, host);
  if (used === undefined) return { findings: [] };
  const path = `${used}/hosts.toml`;
  const state = host.read(path);
  const hosts = state.kind === 'file' ? hostsIn(state.content) : undefined;
  if (used === folder || hosts === undefined) return certificatesIn(used, host);
  if (isOurs(state)) return { findings: [] };
  const exact = roots.some((root) => foldersOf(name, root).includes(used));
  return { findings: [exact && host.foreignFiles === 'refuse' ? kept(path) : shadowed(path, folder, hosts)] };
}

/** The first folder with something of somebody else's, or that we did not make. */
function usedWithout(
  folder: string,
  name: string,
  roots: readonly string[],
  host: HostFiles,
): string | undefined {
  const all = roots.flatMap((root) => [...foldersOf(name, root), `${root}/_default`]);
  return [...new Set(all)].find((each) => {
    if (host.read(each).kind !== 'folder') return false;
    return foreignIn(each, host).length > 0 || (each !== folder && host.list(each).length === 0);
  });
}

function foreignIn(folder: string, { list, read }: HostFiles): string[] {
  return list(folder).filter(
    (file) => !isOurs(read(`${folder}/${file}`)) && !/^\.registry-mirror-operator\..*\.tmp$/.test(file),
  );
}

function isOurs(state: FileState): boolean {
  return state.kind === 'file' && mirrorOf(state.content) !== undefined;
}

function certificatesIn(folder: string, host: HostFiles): Hidden {
  const files = foreignIn(folder, host);
  const pair = files.find((file) => /\.(cert|key)$/.test(file));
  if (pair !== undefined) return { findings: [clientCertificate(`${folder}/${pair}`)] };
  const authorities = files.filter((file) => file.endsWith('.crt')).map((file) => `${folder}/${file}`);
  const pems = authorities.map((path) => {
    const state = host.read(path);
    return { path, pem: state.kind === 'file' ? parseCaBundle(state.content)?.pem : undefined };
  });
  const broken = pems.filter(({ pem }) => pem === undefined);
  if (broken.length > 0) return { findings: broken.map(({ path }) => unusableAuthority(path)) };
  const pem = pems.map((each) => each.pem).join('');
  return { ...(pem !== '' && { pem }), findings: [] };
}

function kept(path: string): Finding {
  return { reason: 'ForeignFile', path, message: 'A file that is not ours is kept', blocks: true };
}

function shadowed(path: string, folder: string, hosts: readonly string[]): Finding {
  const lost = hosts.map(withoutUser).join(', ') || 'none';
  const message = `${folder} takes precedence; these are not asked for its images any more: ${lost}`;
  return { reason: 'ShadowedHosts', path, message, blocks: false };
}

/** A URL, or a host alone as containerd takes it too, without what may be a credential. */
function withoutUser(url: string): string {
  return url.replace(/^([a-z]+:\/\/)?[^/]*@/i, '$1').replace(/[?#].*$/s, '');
}

function clientCertificate(path: string): Finding {
  const message =
    'containerd would not use this client certificate beside a hosts.toml: state it in one of your own';
  return { reason: 'ClientCertificate', path, message, blocks: true };
}

function unusableAuthority(path: string): Finding {
  return { reason: 'UnusableAuthority', path, message: 'No certificate that can be read', blocks: true };
}
