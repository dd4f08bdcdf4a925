/** What is wrong with an entry of an imageswap map by itself. */
import { isImageReference, isReferencePrefix, parseReference } from '../reference.ts';
import { libraryKey, type MapEntry, withoutEndSlash } from './entry.ts';

/** `rejected`: the entry cannot be meant as it stands, or can never match; otherwise it is in force. */
export interface EntryFault {
  readonly why: string;
  readonly rejected: boolean;
}

/** Returns the fault of an entry as it was split, if there is one. */
export function checkEntry(entry: MapEntry, singleColon: boolean): EntryFault | undefined {
  if (entry.key === '') return rejected('the key is empty');
  if (entry.kind === 'exact') return checkExact(entry, singleColon);
  if (entry.kind === 'replace') return checkPrefix(withoutEndSlash(entry.value));
  if (entry.key === 'noswap_wildcards') return checkWildcards(entry);
  if (entry.key === 'default') return checkRegistryValue(entry.value);
  return checkRegistryKey(entry.key) ?? checkRegistryValue(entry.value);
}

/** A line like `[EXACT]nginx:1.25` was meant to have `::` and a value. */
function checkExact({ key, value }: MapEntry, singleColon: boolean): EntryFault | undefined {
  if (value === '')
    return rejected(`an image cannot be made empty; to leave it as it is: [EXACT]${key}::${key}`);
  if (singleColon && !value.includes('/')) {
    return rejected(`${value} may be a tag of ${key}; write [EXACT]IMAGE::IMAGE`);
  }
  return isImageReference(value) ? undefined : useless(`${value} is no image reference`);
}

/** A value that ends in `-` is glued to the registry's name. */
function checkRegistryValue(value: string): EntryFault | undefined {
  return checkPrefix(value.endsWith('-') ? `${value}docker.io` : withoutEndSlash(value), value);
}

function checkPrefix(prefix: string, value = prefix): EntryFault | undefined {
  if (prefix === '' || isReferencePrefix(prefix)) return undefined;
  return useless(`${value} is no registry and no beginning of a name`);
}

function checkWildcards({ value }: MapEntry): EntryFault | undefined {
  const hasEmptyItem = value !== '' && value.split(',').includes('');
  return hasEmptyItem
    ? { why: 'an empty item would match every image; it does not count', rejected: false }
    : undefined;
}

function checkRegistryKey(key: string): EntryFault | undefined {
  if (key === libraryKey || isNamedRegistry(key)) return undefined;
  if (key.endsWith('/library'))
    return rejected('only docker.io has names without a slash, for which /library is');
  if (/^\[(exact|replace)\]/i.test(key)) return rejected('[EXACT] and [REPLACE] are written in capitals');
  return rejected(
    `${key} is no registry, so no image can match; a registry has a dot or a port, or is localhost`,
  );
}

function isNamedRegistry(key: string): boolean {
  return parseReference(`${key}/x`)?.registry === key;
}

function rejected(why: string): EntryFault {
  return { why, rejected: true };
}

function useless(why: string): EntryFault {
  return { why: `${why}; what the line is for stays unchanged`, rejected: false };
}
