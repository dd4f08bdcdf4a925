/** Which addresses may be dialled for whom. */
import { isIP } from 'node:net';
import { type AddressKind, addressKind, mayLeadTo } from './address.ts';
import { UpstreamError } from './upstream-error.ts';

export interface AddressRule {
  permitted(kind: AddressKind, hostname: string): boolean;
  /** Told of what kind an address was that answered under this rule. */
  learn(kind: AddressKind): void;
}

export interface AddressRules {
  readonly own: AddressRule;
  readonly foreign: AddressRule;
}

/** What the administrator may open for redirects; metadata services, multicast and the like stay shut. */
const openable: ReadonlySet<AddressKind> = new Set(['public', 'private', 'loopback', 'linkLocal']);

/**
 * `own`: the upstream itself is dialled wherever it is. `foreign`: everything else only at public addresses, at those of
 * the upstream's own kind (an upstream on the loopback may lead to the loopback, nobody else may), and where
 * `redirectHosts` (`host`, `*.domain`) names it.
 */
export function addressRules(redirectHosts: readonly string[]): AddressRules {
  let ownKind: AddressKind | undefined;
  const own = {
    permitted: () => true,
    learn: (kind: AddressKind) => {
      ownKind = kind;
    },
  };
  const foreign = {
    permitted: (kind: AddressKind, hostname: string) =>
      mayLeadTo(kind, ownKind) || (openable.has(kind) && isNamed(redirectHosts, hostname)),
    learn: () => {},
  };
  return { own, foreign };
}

function isNamed(patterns: readonly string[], hostname: string): boolean {
  const host = hostname.replace(/\.$/, '');
  return patterns.some((pattern) =>
    pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern,
  );
}

/** The kind of an address that stands where a name could, brackets or not; undefined for a name. */
export function literalKind(hostname: string): AddressKind | undefined {
  const literal = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(literal) === 0 ? undefined : addressKind(literal);
}

export function addressRefusal(host: string, kind: AddressKind): UpstreamError {
  return new UpstreamError('redirect', `${host}: refused to follow to a ${kind} address`);
}
