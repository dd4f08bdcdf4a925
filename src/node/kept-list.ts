/**
 * The list of mirrors of a shared agent: mounted by the kubelet, which brings a change up to a minute and a half late, or brought by the operator ahead of
 * that (docs/adr/0019) and kept in the pod's own folder, in the form of the mounted one. The newer of both is in force.
 */
import { basename, dirname, join } from 'node:path';
import { type BroughtList, bundleName, listKey } from '../api/node-mirror.ts';
import { type FileCalls, lookAt, removeFile, unless } from './files.ts';
import type { MirrorList } from './options.ts';
import { writeAtomically } from './replace-file.ts';

export interface ListPlaces {
  /** Container path of the list that the kubelet keeps. */
  readonly mounted: string;
  /** Container path of the folder for what is brought; made if missing. */
  readonly broughtFolder: string;
  /** Takes a text and the path of its file; throws a `TypeError` where it is no list. */
  readonly parse: (text: string, path: string) => MirrorList;
}

export class KeptList {
  readonly #places: ListPlaces;
  readonly #files: FileCalls;
  /** Where authorities are read from, by the name of their file. */
  #authorities = new Map<string, string>();

  constructor(places: ListPlaces, files: FileCalls) {
    this.#places = places;
    this.#files = files;
  }

  /** The list that is in force. Throws where the mounted one cannot be read: what was wired stays. */
  read(): MirrorList {
    const { mirrors, ...list } = this.#newest();
    const before = this.#authorities;
    this.#authorities = new Map();
    return {
      ...list,
      mirrors: mirrors.map((each) => ({ ...each, caFile: this.#place(each.caFile, before) })),
    };
  }

  /** Keeps what was brought where it is newer than what is in force; true where it is. Throws a `TypeError` where it is no list. */
  take(body: string): boolean {
    const { broughtFolder, parse } = this.#places;
    const { [listKey]: text = '', ...authorities } = filesOf(body);
    const brought = parse(text, join(broughtFolder, listKey));
    for (const [name, content] of Object.entries(authorities)) checkName(name, content);
    if (!brought.mirrors.every(({ caFile }) => Object.hasOwn(authorities, basename(caFile))))
      throw new TypeError(`files: expected the authorities that ${listKey} names`);
    if (!isNewer(brought, this.#newest())) return false;
    this.#write({ ...authorities, [listKey]: text });
    return true;
  }

  #newest(): MirrorList {
    const { mounted, parse } = this.#places;
    const list = parse(this.#files.readFileSync(mounted, 'utf8'), mounted);
    const brought = this.#readBrought();
    return brought !== undefined && isNewer(brought, list) ? brought : list;
  }

  /** One that this version does not understand is none. */
  #readBrought(): MirrorList | undefined {
    const path = join(this.#places.broughtFolder, listKey);
    const text = unless(['ENOENT'], () => this.#files.readFileSync(path, 'utf8'));
    try {
      return text === undefined ? undefined : this.#places.parse(text, path);
    } catch (error) {
      if (error instanceof TypeError) return undefined;
      throw error;
    }
  }

  /** The same file has the same name in both folders. Where it is read from does not change while it lies there: nginx would be reloaded for it. */
  #place(caFile: string, before: ReadonlyMap<string, string>): string {
    const name = basename(caFile);
    const { mounted, broughtFolder } = this.#places;
    const places = [before.get(name) ?? caFile, join(dirname(mounted), name), join(broughtFolder, name)];
    const isThere = (path: string) => lookAt(this.#files, path) !== undefined;
    const place = places.find(isThere) ?? caFile;
    this.#authorities.set(name, place);
    return place;
  }

  /** The list comes after what it names, and before anything goes. */
  #write(contents: Readonly<Record<string, string>>): void {
    const { broughtFolder: folder } = this.#places;
    this.#files.mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const [name, content] of Object.entries(contents))
      writeAtomically(this.#files, join(folder, name), Buffer.from(content), { mode: 0o600 });
    for (const name of this.#files.readdirSync(folder))
      if (!Object.hasOwn(contents, name)) removeFile(this.#files, join(folder, name));
  }
}

/** An operator that counts no versions may have come back: then what is mounted is the newest there is. */
function isNewer({ version: one }: MirrorList, { version: other }: MirrorList): boolean {
  return one !== undefined && other !== undefined && one > other;
}

function filesOf(body: string): BroughtList['files'] {
  const { files } = (parseJson(body) ?? {}) as Partial<BroughtList>;
  const isText = (value: unknown) => typeof value === 'string';
  if (typeof files === 'object' && files !== null && Object.values(files).every(isText)) return files;
  throw new TypeError('files: expected texts by the names of their files');
}

/** The name becomes a path. */
function checkName(name: string, content: string): void {
  if (name !== bundleName(content))
    throw new TypeError('files: expected authorities that are named after their content');
}

/** Throws a `TypeError`: the parser's own error quotes the text. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TypeError('expected JSON');
  }
}
