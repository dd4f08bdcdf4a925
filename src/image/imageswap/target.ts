/** Where a registry line of an imageswap map moves images to. */
import { type ImageReference, splitPort, suffixOf } from '../reference.ts';
import type { Rule } from '../settle.ts';
import { type MapEntry, withoutEndSlash } from './entry.ts';

export interface Target {
  readonly rule: Rule;
  /** Without a slash at its end; empty: images stay as they are. */
  readonly value: string;
  /** The value ends in `-` and is glued to the host it replaces. */
  readonly glue: boolean;
}

/** The target of a line other than `noswap_wildcards`. */
export function targetOf({ key, value, line }: MapEntry): Target {
  return {
    rule: { source: 'imageswap', key, line },
    value: withoutEndSlash(value),
    glue: value.endsWith('-'),
  };
}

/** The image below the target's value in place of its registry. With glue the host, without its port, is part of the name. */
export function moved({ value, glue }: Target, reference: ImageReference): string {
  const rest = `${reference.path}${suffixOf(reference)}`;
  return glue ? `${value}${splitPort(reference.registry ?? 'docker.io').host}/${rest}` : `${value}/${rest}`;
}

/** What every image that the line for `host` makes begins with, without the slash that follows. */
export function beginningOf({ value, glue }: Target, host: string): string {
  return glue ? `${value}${host}` : value;
}
