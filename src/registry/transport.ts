/** Connections to one upstream and to where it sends us. The only file of this folder that opens a socket. */
import { isIP, type LookupFunction, type Socket } from 'node:net';
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

/** Takes the upstream's origin and the PEM certificates to trust (and nothing beside them). */
export function createTransport(
  origin: URL,
  authorities: readonly string[],
  timeouts: Timeouts = defaultTimeouts,
): Transport {
  const secureContext = createSecureContext({ ca: [...authorities], minVersion: 'TLSv1.2' });
  let ownKind: AddressKind | undefined;
  const own = createAgent(
    timeouts,
    ownConnector(secureContext, timeouts, (kind) => (ownKind = kind)),
  );
  const foreign = createAgent(
    timeouts,
    checkedConnector(secureContext, timeouts, (kind) => mayLeadTo(kind, ownKind)),
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

function ownConnector(
  secureContext: SecureContext,
  timeouts: Timeouts,
  learn: (kind: AddressKind) => void,
): buildConnector.connector {
  const connect = buildConnector(
    connectOptions(
      secureContext,
      timeouts,
      checkedLookup(() => true),
    ),
  );
  return (options, callback) => {
    connect(options, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      learn(remoteKind(socket));
      callback(null, socket);
    });
  };
}

/** Checks addresses between resolving and dialling, so that no second resolution can give another answer. */
function checkedConnector(
  secureContext: SecureContext,
  timeouts: Timeouts,
  permitted: (kind: AddressKind) => boolean,
): buildConnector.connector {
  const connect = buildConnector(connectOptions(secureContext, timeouts, checkedLookup(permitted)));
  return (options, callback) => {
    // A literal address is dialled without a lookup.
    const literal = options.hostname.replace(/^\[(.*)\]$/, '$1');
    if (isIP(literal) !== 0 && !permitted(addressKind(literal))) {
      return queueMicrotask(() => callback(refusal(options.hostname, addressKind(literal)), null));
    }
    connect(options, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      const kind = remoteKind(socket);
      if (permitted(kind)) return callback(null, socket);
      socket.destroy();
      callback(refusal(options.hostname, kind), null);
    });
  };
}

function connectOptions(
  secureContext: SecureContext,
  timeouts: Timeouts,
  resolve: LookupFunction,
): buildConnector.BuildOptions {
  return {
    timeout: timeouts.connect,
    allowH2: false,
    secureContext,
    lookup: resolve,
    autoSelectFamily: true,
    // Node's 250 ms would give up on a distant address of the first family.
    autoSelectFamilyAttemptTimeout: 1_000,
  };
}

function checkedLookup(permitted: (kind: AddressKind) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookupOnce(hostname).then(
      (found) => {
        const usable = found.filter(({ address }) => permitted(addressKind(address)));
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

function remoteKind(socket: Socket): AddressKind {
  return addressKind(socket.remoteAddress ?? '');
}
