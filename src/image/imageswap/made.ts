/** What registry lines and the default made: such images stay, whatever other lines there are. */
import { parseReference, splitPort } from '../reference.ts';
import type { Rule } from '../settle.ts';
import { libraryKey, type MapEntry } from './entry.ts';
import { isBareHost, type Target, targetOf } from './target.ts';

export interface Made {
  /** Names with a path, also Docker Hub's first segments: what lies below one of them, no line for a registry takes on. */
  readonly below: ReadonlyMap<string, Rule>;
  /** Registries, `host[:port]`; with a colon at the end (`host:`) those of the host with any port. A line for the very registry is asked first. */
  readonly registries: ReadonlyMap<string, Rule>;
}

/** Takes the entries of kind `registry` but for `noswap_wildcards`. A default that is glued to hosts of any name has no beginning of its own. */
export function madeBy(entries: readonly MapEntry[]): Made {
  const below = new Map<string, Rule>();
  const registries = new Map<string, Rule>();
  for (const entry of entries) {
    const target = targetOf(entry);
    const isDefault = entry.key === 'default';
    if (target.value === '' || (isDefault && target.glue)) continue;
    const beginning = beginningOf(target, entry);
    const isRegistry = parseReference(`${beginning}/x`)?.registry === beginning;
    (isRegistry ? registries : below).set(beginning, target.rule);
    if (!isDefault && keepsPorts(entry, target)) registries.set(`${beginning}:`, target.rule);
  }
  return { below, registries };
}

/** What every image that the line makes begins with, without the slash or the port that follows. */
export function beginningOf({ value, glue }: Target, { key }: MapEntry): string {
  return glue ? `${value}${key === libraryKey ? 'docker.io' : splitPort(key).host}` : value;
}

function keepsPorts({ key }: MapEntry, target: Target): boolean {
  return key !== libraryKey && splitPort(key).port === undefined && isBareHost(target);
}
