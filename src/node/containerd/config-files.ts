/** The files of one containerd's configuration: the one that it is started with and what that imports. Pure. */
import { posix } from 'node:path';
import type { Finding } from '../finding.ts';
import { expandGlob } from './glob.ts';
import type { HostFiles } from './host-files.ts';
import { parseToml, type Table } from './table.ts';

/** Where a containerd has its configuration. */
export interface Place {
  readonly path: string;
  /** The distribution that writes it, or manages what is in it. */
  readonly maker?: 'k3s' | 'k0s';
  /** Files that the distribution puts into the configuration when it starts. */
  readonly dropIns?: string;
  /** Files whose paths begin like this are written by who starts containerd, right before; imports of them need not be there. */
  readonly generated?: string;
}

/** A file, parsed. */
export interface Document {
  readonly path: string;
  readonly content: Table;
}

/** Reads the file and everything it imports as that major release does. Nothing for a file that is not there. */
export function loadFiles(
  major: 1 | 2,
  place: Place,
  host: HostFiles,
): { documents: Document[]; findings: Finding[] } {
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
      const imports = [...importsOf(major, loaded), ...[dropIns].flat()].flatMap((each) =>
        expandGlob(each, host),
      );
      pending.push(...new Set(imports.filter((each) => !pending.includes(each))));
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
    return { path, content: parseToml(state.content.toString()) };
  } catch {
    const message = 'Not TOML: what containerd has in force cannot be told';
    return { reason: 'UnreadableConfig', path, message, blocks: true };
  }
}

function importsOf(major: 1 | 2, { path, content }: Document): string[] {
  const imports = content['imports'];
  if (!Array.isArray(imports)) return [];
  return imports
    .filter((each) => typeof each === 'string')
    .map((each) => posix.resolve(major === 1 && each.includes('*') ? '/' : posix.dirname(path), each));
}

function missing(path: string): Finding {
  const message = 'The configuration imports a file that is not there: containerd does not start like this';
  return { reason: 'MissingImport', path, message, blocks: false };
}
