/** Direct connections, whose addresses are checked between resolving and dialling: no second resolution can give another answer. */
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { SecureContext } from 'node:tls';
import { buildConnector } from 'undici';
import { addressKind } from './address.ts';
import { type AddressRule, addressRefusal, literalKind } from './address-rule.ts';

export interface ConnectOptions {
  readonly secureContext: SecureContext;
  /** Name resolution, TCP and TLS together. Milliseconds. */
  readonly timeout: number;
  readonly resolve: Resolve;
}

export type Resolve = (hostname: string) => Promise<LookupAddress[]>;

/** Returns what undici calls for each new connection; it fails with `UpstreamError` for a forbidden address. */
export function directConnector(options: ConnectOptions, rule: AddressRule): buildConnector.connector {
  const connect = buildConnector({
    ...tlsOptions(options),
    lookup: checkedLookup(options.resolve, rule),
    autoSelectFamily: true,
    // Node's 250 ms would give up on a distant address of the first family.
    autoSelectFamilyAttemptTimeout: 1_000,
  });
  return (target, callback) => {
    // A literal address is dialled without a lookup.
    const literal = literalKind(target.hostname);
    if (literal !== undefined && !rule.permitted(literal, target.hostname)) {
      return queueMicrotask(() => callback(addressRefusal(target.hostname, literal), null));
    }
    connect(target, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      const kind = addressKind(socket.remoteAddress ?? '');
      rule.learn(kind);
      if (rule.permitted(kind, target.hostname)) return callback(null, socket);
      socket.destroy();
      callback(addressRefusal(target.hostname, kind), null);
    });
  };
}

/** What is the same for every TLS connection, through a proxy or not. */
export function tlsOptions({ secureContext, timeout }: ConnectOptions): buildConnector.BuildOptions {
  return { timeout, allowH2: false, secureContext };
}

function checkedLookup(resolve: Resolve, rule: AddressRule): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (found) => {
        const usable = found.filter(({ address }) => rule.permitted(addressKind(address), hostname));
        const [first] = usable;
        if (first === undefined) {
          callback(addressRefusal(hostname, addressKind(found[0]?.address ?? '')), []);
        } else if (options.all) callback(null, usable);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}
