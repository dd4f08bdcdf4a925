/** Checks the names a proxy will resolve, as far as they can be resolved here. */
import { setTimeout as delay } from 'node:timers/promises';
import { type AddressKind, addressKind } from './address.ts';
import { type AddressRule, addressRefusal, literalKind } from './address-rule.ts';
import { BoundedMap } from './bounded-map.ts';
import type { Resolve } from './connect.ts';
import { elapsedMs } from './elapsed.ts';

/** Behind a proxy there may be no DNS for names outside: nobody waits for long, or again soon. Milliseconds. */
const waitMs = 1_000;
const rememberMs = 60_000;

/**
 * Returns what rejects with `UpstreamError` for an address that may not be asked for, and for a name all of whose
 * addresses known here are such. A name that nobody knows here is the proxy's to judge.
 */
export function proxiedNames(
  resolve: Resolve,
  rule: AddressRule,
  now: () => number = elapsedMs,
): (hostname: string) => Promise<void> {
  const known = new BoundedMap<string, { readonly kinds: readonly AddressKind[]; readonly until: number }>(
    1024,
  );
  const kindsOf = async (hostname: string) => {
    const remembered = known.get(hostname);
    if (remembered !== undefined && now() < remembered.until) return remembered.kinds;
    const kinds = await resolved(resolve, hostname);
    known.set(hostname, { kinds, until: now() + rememberMs });
    return kinds;
  };
  return async (hostname) => {
    const literal = literalKind(hostname);
    const kinds = literal === undefined ? await kindsOf(hostname) : [literal];
    const [first] = kinds;
    if (first === undefined || kinds.some((kind) => rule.permitted(kind, hostname))) return;
    throw addressRefusal(hostname, first);
  };
}

async function resolved(resolve: Resolve, hostname: string): Promise<AddressKind[]> {
  const found = resolve(hostname).catch(() => []);
  const late = delay(waitMs, [], { ref: false });
  return (await Promise.race([found, late])).map(({ address }) => addressKind(address));
}
