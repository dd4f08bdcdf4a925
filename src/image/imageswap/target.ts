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

/** Whether images keep their port: a host alone takes the port of the registry it replaces, as imageswap's own tests want it. */
export function isBareHost({ value, glue }: Target): boolean {
  return !glue && !/[/:]/.test(value);
}

/** Whether the line for any host makes such images. Glued to a host, all that begins with the value and has a slash later is taken for made. */
export function isMadeForAnyHost({ value, glue }: Target, image: string): boolean {
  return (
    image.startsWith(value) &&
    (glue ? image.indexOf('/', value.length) > value.length : image[value.length] === '/')
  );
}

/** The image below the target's value in place of its registry. With glue the host, without its port, is part of the name. */
export function moved({ value, glue }: Target, reference: ImageReference): string {
  const rest = `${reference.path}${suffixOf(reference)}`;
  return glue ? `${value}${splitPort(reference.registry ?? 'docker.io').host}/${rest}` : `${value}/${rest}`;
}
