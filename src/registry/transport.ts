/** Connections to one upstream and to where it sends us, directly or through a proxy. */
import { createSecureContext } from 'node:tls';
import type { Dispatcher } from 'undici';
import { addressRules } from './address-rule.ts';
import type { Resolve } from './connect.ts';
import { defaultSilenceMs, LostPeers } from './lost-peer.ts';
import { proxyExemption } from './no-proxy.ts';
import { lookupOnce } from './resolve.ts';
import { toUpstreamError } from './upstream-error.ts';
import { directWay, proxiedWay, type Way } from './way.ts';

/** How long an upstream may take, in milliseconds. */
export interface Timeouts {
  /** Name resolution, TCP, a proxy's tunnel and TLS together. */
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
 * Sends single requests. What goes to the upstream's own origin is dialled as it resolves; everywhere else the rules of
 * `addressRules` hold. Rejects with `UpstreamError`; the signal also ends the body.
 */
export interface Transport {
  readonly origin: URL;
  send(url: URL, request: HttpRequest): Promise<HttpAnswer>;
  /** Lets running requests finish and closes every connection. */
  close(): Promise<void>;
  /** Breaks every connection. */
  destroy(): Promise<void>;
}

/** How we name ourselves to whomever we ask. */
export const userAgent = 'registry-mirror-operator';

/** What of the network can be another one in tests. */
export interface Network {
  readonly timeouts?: Timeouts;
  readonly resolve?: Resolve;
  /** Milliseconds of silence after which it is found out whether a peer is still there. */
  readonly silenceMs?: number;
}

export interface TransportOptions {
  /** PEM certificates to trust, and nothing beside them. */
  readonly authorities: readonly string[];
  /** `host` or `*.domain`: may be redirected to whatever they resolve to. */
  readonly redirectHosts?: readonly string[];
  readonly proxy?: { readonly url: string; readonly noProxy: readonly string[] } | undefined;
  readonly network?: Network | undefined;
}

/** Takes the upstream's origin; connects to nothing yet. */
export function createTransport(origin: URL, options: TransportOptions): Transport {
  const {
    timeouts = defaultTimeouts,
    resolve = lookupOnce,
    silenceMs = defaultSilenceMs,
  } = options.network ?? {};
  const secureContext = createSecureContext({ ca: [...options.authorities], minVersion: 'TLSv1.2' });
  const connect = { secureContext, timeout: timeouts.connect, resolve };
  const wayOptions = { origin, rules: addressRules(options.redirectHosts ?? []), connect, timeouts };
  const direct = directWay(wayOptions);
  const { proxy } = options;
  const proxied = proxy && proxiedWay(wayOptions, new URL(proxy.url));
  const isExempt = proxyExemption(proxy?.noProxy ?? []);
  const ways = proxied === undefined ? [direct] : [direct, proxied];
  const wayTo = (url: URL) => (proxied === undefined || isExempt(url) ? direct : proxied);
  const peers = new LostPeers({ silenceMs, reach: (url) => wayTo(url).reach(url) });
  return {
    origin,
    send: (url, request) =>
      peers.whileReachable(url, request.signal, (signal) => send(wayTo(url), url, { ...request, signal })),
    close: async () => void (await Promise.all(ways.map((way) => way.close()))),
    destroy: async () => void (await Promise.all(ways.map((way) => way.destroy()))),
  };
}

async function send(way: Way, url: URL, request: HttpRequest): Promise<HttpAnswer> {
  try {
    const { statusCode, headers, body } = await way.ask(url, {
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
