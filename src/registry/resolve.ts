/** Names to addresses by the system's resolver (hosts file and search domains included). */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';

const running = new Map<string, Promise<LookupAddress[]>>();

/**
 * Returns every address of the name. Those who ask for one name at the same time share one question: the system's
 * resolver blocks one of libuv's four threads for up to half a minute, and files and hashes need them as well.
 */
export function lookupOnce(hostname: string): Promise<LookupAddress[]> {
  const known = running.get(hostname);
  if (known !== undefined) return known;
  const question = lookup(hostname, { all: true }).finally(() => running.delete(hostname));
  running.set(hostname, question);
  return question;
}
