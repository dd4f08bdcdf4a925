/** Connections to one upstream and to where it sends us. The only file of this folder that opens a socket. */
import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { type AddressKind, addressKind, mayLeadTo } from './address.ts';
import { lookupOnce } from './resolve.ts';
import { toUpstreamError, UpstreamError } from './upstream-error.ts';

/** How long an upstream may take, in milliseconds. */
export interface Timeouts {
  /** Name resolution, TCP and TLS together. */
  readonly connect: number;
  /** From the request to the end of the answer's headers. */
  readonly headers: number;
  /** Between two pieces of a body while somebody reads it. */
  readonly bodyIdle: number;
}

export const defaultTimeouts: Timeouts = { connect: 5_000, headers: 20_000, bodyIdle: 30_000 };

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Dispatcher.ResponseData['body'];
}

/**
 * Sends single requests. What goes to the upstream's own origin is dialled as it resolves; everywhere else only
 * public addresses and addresses of the upstream's own kind are dialled (an upstream on the loopback may redirect to
 * the loopback, nobody else may). Rejects with `UpstreamError`; the signal also ends the body.
 */
export interface Transport {
  readonly origin: URL;
  send(url: URL, request: HttpRequest): Promise<HttpAnswer>;
  /** Lets running requests finish and closes every connection. */
  close(): Promise<void>;
  /** Breaks every connection. */
  destroy(): Promise<void>;
}

const userAgent = 'registry-mirror-operator';

/** What of the network can be another one in tests. */
export interface Network {
  readonly timeouts?: Timeouts;
  readonly resolve?: (hostname: string) => Promise<LookupAddress[]>;
}

/** Takes the upstream's origin and the PEM certificates to trust (and nothing beside them). */
export function createTransport(
  origin: URL,
  authorities: readonly string[],
  network: Network = {},
): Transport {
  const { timeouts = defaultTimeouts, resolve = lookupOnce } = network;
  const secureContext = createSecureContext({ ca: [...authorities], minVersion: 'TLSv1.2' });
  const options = { secureContext, timeouts, resolve };
  let ownKind: AddressKind | undefined;
  const own = createAgent(
    timeouts,
    connector(options, {
      permitted: () => true,
      learn: (kind) => (ownKind = kind),
    }),
  );
  const foreign = createAgent(
    timeouts,
    connector(options, { permitted: (kind) => mayLeadTo(kind, ownKind) }),
  );
  return {
    origin,
    send: (url, request) => send(url.origin === origin.origin ? own : foreign, url, request),
    close: async () => void (await Promise.all([own.close(), foreign.close()])),
    destroy: async () => void (await Promise.all([own.destroy(), foreign.destroy()])),
  };
}

async function send(agent: Agent, url: URL, request: HttpRequest): Promise<HttpAnswer> {
  try {
    const { statusCode, headers, body } = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: request.method,
      // Identity: what is kept and checked are the bytes themselves, never a transfer's packing of them.
      headers: { 'user-agent': userAgent, 'accept-encoding': 'identity', ...request.headers },
      body: request.body ?? null,
      signal: request.signal,
    });
    return { status: statusCode, headers, body };
  } catch (error) {
    throw toUpstreamError(request.signal.aborted ? request.signal.reason : error, url.host);
  }
}

function createAgent(timeouts: Timeouts, connect: buildConnector.connector): Agent {
  return new Agent({
    connect,
    connections: 256,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: 30_000,
    headersTimeout: timeouts.headers,
    bodyTimeout: timeouts.bodyIdle,
  });
}

/** Which addresses may be dialled, and who is told of what kind the one was that answered. */
interface AddressRule {
  readonly permitted: (kind: AddressKind) => boolean;
  readonly learn?: (kind: AddressKind) => void;
}

interface ConnectorOptions extends Required<Network> {
  readonly secureContext: SecureContext;
}

/** Checks addresses between resolving and dialling, so that no second resolution can give another answer. */
function connector(options: ConnectorOptions, rule: AddressRule): buildConnector.connector {
  const connect = buildConnector(connectOptions(options, checkedLookup(options.resolve, rule)));
  return (target, callback) => {
    // A literal address is dialled without a lookup.
    const literal = target.hostname.replace(/^\[(.*)\]$/, '$1');
    if (isIP(literal) !== 0 && !rule.permitted(addressKind(literal))) {
      return queueMicrotask(() => callback(refusal(target.hostname, addressKind(literal)), null));
    }
    connect(target, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      const kind = addressKind(socket.remoteAddress ?? '');
      rule.learn?.(kind);
      if (rule.permitted(kind)) return callback(null, socket);
      socket.destroy();
      callback(refusal(target.hostname, kind), null);
    });
  };
}

function connectOptions(
  { secureContext, timeouts }: ConnectorOptions,
  lookup: LookupFunction,
): buildConnector.BuildOptions {
  return {
    timeout: timeouts.connect,
    allowH2: false,
    secureContext,
    lookup,
    autoSelectFamily: true,
    // Node's 250 ms would give up on a distant address of the first family.
    autoSelectFamilyAttemptTimeout: 1_000,
  };
}

function checkedLookup(resolve: Required<Network>['resolve'], rule: AddressRule): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (found) => {
        const usable = found.filter(({ address }) => rule.permitted(addressKind(address)));
        const [first] = usable;
        if (first === undefined) callback(refusal(hostname, addressKind(found[0]?.address ?? '')), []);
        else if (options.all) callback(null, usable);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}

function refusal(host: string, kind: AddressKind): UpstreamError {
  return new UpstreamError('redirect', `${host}: refused to follow to a ${kind} address`);
}
