/** Versions of the agents' list, and for how long it names mirrors that are no more. Pure. */
import { listKey } from '../../api/node-mirror.ts';
import type { KubeObject } from '../../kube/object.ts';
import { listEntry, listFiles, type SharedList } from '../../resources/shared-nodes.ts';
import { secretText } from '../certificates/secret-text.ts';
import { type ToldList, toldList } from './told-list.ts';

/** Several times what the latest kubelet needs to bring a Secret to a pod. */
export const rememberedMs = 600_000;
/** Names of mirrors that do not exist; with their versions less than 40 KiB. */
const mostRemembered = 500;

export type VersionedList = SharedList & { readonly version: number };

/**
 * The list with what has left it, and with the version of the one in `secret` where that says the same, else with a new one. A mirror that left stays
 * among the `gone` for a while, also when it does not exist any more: an agent that got an older list late takes it back at once. `now` is in
 * milliseconds since the epoch.
 */
export function versioned(
  list: Omit<SharedList, 'left' | 'since' | 'version'>,
  secret: KubeObject | undefined,
  now: number,
): VersionedList {
  const before = toldList(secret);
  const next = Math.max(before.version + 1, now);
  const left = leftOf(list, before, next, now);
  const remembered = Object.keys(left).filter((name) => !list.others.includes(name));
  const gone = [...new Set([...list.gone, ...remembered])].sort();
  const since = sinceOf(list, before, next);
  const same = { ...list, gone, left, since, version: before.version };
  const isSame = listFiles(same)[listKey] === `${secretText(secret, listKey)}`;
  return isSame && before.version > 0 ? same : { ...same, version: next };
}

/** When the first mirror is to be forgotten, in milliseconds since the epoch; infinite where none is. */
export function forgetAt({ left = {}, gone }: SharedList, existing: readonly string[]): number {
  const isKept = (name: string) => gone.includes(name) && existing.includes(name);
  const times = Object.entries(left).flatMap(([name, since]) => (isKept(name) ? [] : [since + rememberedMs]));
  return Math.min(...times);
}

function sinceOf(
  { listed }: Pick<SharedList, 'listed'>,
  before: ToldList,
  next: number,
): Record<string, number> {
  const entries = listed.map((each): [string, number] => {
    const { name } = each.mirror;
    const isSame = before.listed.get(name) === JSON.stringify(listEntry(each));
    return [name, (isSame ? before.since.get(name) : undefined) ?? next];
  });
  return Object.fromEntries(entries);
}

function leftOf(
  { listed, gone }: Pick<SharedList, 'listed' | 'gone'>,
  before: ToldList,
  next: number,
  now: number,
): Record<string, number> {
  const isListed = new Set(listed.map(({ mirror }) => mirror.name));
  const names = new Set([...before.listed.keys(), ...before.left.keys()]);
  const all = [...names]
    .filter((name) => !isListed.has(name))
    .map((name) => [name, before.left.get(name) ?? next] as const);
  // Those are awaited, however long it takes.
  const awaited = all.filter(([name]) => gone.includes(name));
  const others = all
    .filter(([name, since]) => !gone.includes(name) && since + rememberedMs > now)
    .sort(([, one], [, other]) => other - one)
    .slice(0, mostRemembered);
  return Object.fromEntries([...awaited, ...others].sort(([one], [other]) => (one < other ? -1 : 1)));
}
