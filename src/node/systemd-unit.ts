/** What systemd has been told of a unit: the text of its file and its drop-ins (systemd.unit(5)). Pure over `read` and `list`. */
import type { HostFiles } from './containerd/host-files.ts';
import type { FileState } from './files.ts';

/** Where units lie, the one that counts first. */
export const unitFolders = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
] as const;

export interface SystemdUnit {
  /** The file and its drop-ins in the order in which they count. */
  readonly files: readonly { readonly path: string; readonly state: FileState & { readonly kind: 'file' } }[];
  /** All values of a key, `Section.Key`, in order; what stands before an empty one is reset by it. */
  readonly values: (key: string) => string[];
}

/** Undefined for a unit that is not there, is masked, or of which something cannot be read. */
export function readUnit(name: string, host: HostFiles): SystemdUnit | undefined {
  const type = name.slice(name.lastIndexOf('.') + 1);
  const main = unitFolders
    .map((folder) => `${folder}/${name}`)
    .find((path) => host.read(path).kind !== 'absent');
  if (main === undefined) return undefined;
  const paths = [main, ...dropIns(`${type}.d`, host), ...dropIns(`${name}.d`, host)];
  const files = paths.map((path) => ({ path, state: host.read(path) }));
  if (!files.every(isFile) || files.length === 0) return undefined;
  const settings = files.flatMap(({ state }) => parseSettings(state.content.toString()));
  const values = (key: string) => {
    const all = settings.filter((each) => each.key === key).map(({ value }) => value);
    return all.slice(all.lastIndexOf('') + 1);
  };
  return { files, values };
}

/** In the order of their names; of two with one name that of the first folder counts. */
function dropIns(folder: string, { list }: HostFiles): string[] {
  const found = new Map<string, string>();
  for (const each of unitFolders) {
    const path = `${each}/${folder}`;
    for (const name of list(path))
      if (name.endsWith('.conf') && !found.has(name)) found.set(name, `${path}/${name}`);
  }
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, path]) => path);
}

function isFile(file: {
  path: string;
  state: FileState;
}): file is { path: string; state: FileState & { kind: 'file' } } {
  return file.state.kind === 'file';
}

function parseSettings(text: string): { key: string; value: string }[] {
  let section = '';
  const lines = text.split(/\r?\n/).filter((line) => !/^\s*[#;]/.test(line));
  const joined = lines.join('\n').replaceAll('\\\n', ' ').split('\n');
  return joined.flatMap((line) => {
    const header = /^\s*\[(.*)\]\s*$/.exec(line)?.[1];
    if (header !== undefined) section = header;
    const [, name, value] = /^\s*([A-Za-z0-9]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [{ key: `${section}.${name}`, value }];
  });
}
