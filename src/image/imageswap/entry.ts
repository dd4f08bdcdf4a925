/** Lines of an imageswap map as values. */

/** `exact`: whole image to whole image; `replace`: pattern to prefix; `registry`: the rest, `default` and `noswap_wildcards` too. */
export type EntryKind = 'exact' | 'replace' | 'registry';

/** A line in force. */
export interface MapEntry {
  readonly kind: EntryKind;
  /** Image, pattern, or: `default`, `noswap_wildcards`, `host[:port]`, `docker.io/library`. */
  readonly key: string;
  /** May be empty except with `exact`. */
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

/** Something wrong with a line (0: with the map as a whole), for people. Lines of which `why` says nothing else are not in force. */
export interface MapFault {
  readonly line: number;
  readonly why: string;
}

/** An imageswap map, parsed. */
export interface ImageswapMap {
  /** In the order of the file, each key once: the last line of a key is in force, at the place of its first. */
  readonly entries: readonly MapEntry[];
  /** In the order of the file; at most one a line. */
  readonly faults: readonly MapFault[];
}

/** Names without a slash have this key before `docker.io`. */
export const libraryKey = 'docker.io/library';

/** A prefix without the slashes at its end: imageswap writes one itself. */
export function withoutEndSlash(value: string): string {
  const trimmed = value.replace(/\/+$/, '');
  return trimmed === '' ? value : trimmed;
}
