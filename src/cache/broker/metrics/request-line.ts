/** One line of nginx's request log (`log_format requests` in templates/default.conf.hbs). Pure. */
import { type AddressKind, addressKinds } from '../../address-kind.ts';

export type ObjectKind = (typeof objectKinds)[number];
/** How the cache answered: nginx's `$upstream_cache_status`; `none`: it was not asked. */
export type CacheStatus = (typeof cacheStatuses)[number];

const objectKinds = ['blob', 'manifest', 'tag', 'list', 'ping', 'other'] as const;
const cacheStatuses = [
  'hit',
  'miss',
  'expired',
  'revalidated',
  'stale',
  'updating',
  'bypass',
  'scarce',
  'none',
] as const;

/** What is counted of a request. Every text is one of a few, whatever the client sent. */
export interface RequestLine {
  /** When it ended, in milliseconds since 1970. */
  readonly at: number;
  /** Empty: no mirror's. Not yet compared with the mirrors there are. */
  readonly mirror: string;
  readonly address: AddressKind | 'other';
  readonly object: ObjectKind;
  readonly status: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly cache: CacheStatus;
  /** From the question to the broker until its headers; absent where it was not asked. */
  readonly brokerSeconds: number | undefined;
}

/** Time, mirror, address, object, method, status, bytes, seconds, cache status, seconds to the broker's headers. */
const fields = 10;

/** Takes a line without its newline; undefined when it is none of ours, or was cut. Newer fields at its end are ignored. */
export function parseRequestLine(line: string): RequestLine | undefined {
  const parts = line.split('\t');
  if (parts.length < fields) return undefined;
  const [at, mirror = '', address, object, _method, status, bytes, seconds, cache, broker = ''] = parts;
  const numbers = [at, status, bytes, seconds].map(number);
  if (numbers.some((value) => value === undefined)) return undefined;
  const [ended = 0, code = 0, size = 0, took = 0] = numbers;
  return {
    at: ended * 1000,
    mirror: mirror === '-' ? '' : mirror,
    address: oneOf<AddressKind | 'other'>(addressKinds, address, 'other'),
    object: oneOf(objectKinds, object, 'other'),
    status: code,
    bytes: size,
    seconds: took,
    cache: oneOf(cacheStatuses, cache?.toLowerCase(), 'none'),
    brokerSeconds: brokerSeconds(broker),
  };
}

/** One value for each time the broker was asked, `,` and `:` between them; `-` where it did not answer. */
function brokerSeconds(text: string): number | undefined {
  const values = text.split(/[,:]/).map((part) => number(part.trim()));
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0);
}

function number(text: string | undefined): number | undefined {
  return /^\d{1,15}(?:\.\d{1,9})?$/.test(text ?? '') ? Number(text) : undefined;
}

function oneOf<T extends string>(known: readonly T[], text: string | undefined, other: T): T {
  return known.find((value) => value === text) ?? other;
}
