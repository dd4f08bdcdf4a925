/** What the shared agents were told last, as it lies in their Secret. Pure. */
import { listKey, type NodeList } from '../../api/node-mirror.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { ListedMirror } from '../../resources/shared-nodes.ts';
import { secretText } from '../certificates/secret-text.ts';

export interface ToldList {
  /** 0 where it has none. */
  readonly version: number;
  /** What was told of each mirror, as text, by its name. */
  readonly listed: ReadonlyMap<string, string>;
  /** Names of those that are to be taken back. */
  readonly gone: readonly string[];
  /** Since which version they are in it no more. */
  readonly left: ReadonlyMap<string, number>;
  /** Since which version they stand in it as they do. */
  readonly since: ReadonlyMap<string, number>;
}

/** By the Secret that says so: every pass of every mirror asks. */
const told = new WeakMap<KubeObject, ToldList>();

/** Nothing where it cannot be read. */
export function toldList(secret: KubeObject | undefined): ToldList {
  const known = secret && told.get(secret);
  if (known !== undefined) return known;
  const list = readList(secret);
  if (secret !== undefined) told.set(secret, list);
  return list;
}

function readList(secret: KubeObject | undefined): ToldList {
  const { version, mirrors = [], gone, left, since } = parsed(secret) ?? {};
  return {
    version: Number.isSafeInteger(version) ? Number(version) : 0,
    listed: new Map(mirrors.map((entry) => [entry.name, JSON.stringify(entry)])),
    gone: Array.isArray(gone) ? gone : [],
    left: versionsIn(left),
    since: versionsIn(since),
  };
}

function versionsIn(versions: Readonly<Record<string, number>> | undefined): Map<string, number> {
  return new Map(Object.entries(versions ?? {}).filter(([, version]) => Number.isSafeInteger(version)));
}

/** The mirrors in it with their authorities; none where that cannot be read. */
export function listedIn(secret: KubeObject | undefined): ListedMirror[] {
  const { mirrors = [] } = parsed(secret) ?? {};
  return mirrors.flatMap(({ bundle, ...mirror }) => {
    const authorities = secretText(secret, bundle);
    return authorities === undefined ? [] : [{ mirror, authorities }];
  });
}

function parsed(secret: KubeObject | undefined): Partial<NodeList> | undefined {
  const text = secretText(secret, listKey);
  if (text === undefined) return undefined;
  try {
    const list = JSON.parse(text) as Partial<NodeList> | null;
    return Array.isArray(list?.mirrors) ? list : undefined;
  } catch {
    return undefined;
  }
}
