/**
 * The way out through an HTTP proxy: CONNECT for https targets, whose TLS is ours end to end, absolute-form requests for
 * http ones (RFC 9110 section 9.3.6, RFC 9112 section 3.2.2). What fails between us and the proxy, or is refused by it, is an
 * `UpstreamError` of code `proxy` that names the proxy.
 */
import { buildConnector, type Dispatcher, Pool } from 'undici';
import { literalKind } from './address-rule.ts';
import { type ConnectOptions, directConnector, tlsOptions } from './connect.ts';
import { toUpstreamError, UpstreamError } from './upstream-error.ts';

export interface EgressProxy {
  /** Returns what undici calls for each new connection to an https target; `admit` rejects for one that may not be asked for. */
  connector(admit: (hostname: string) => Promise<void>): buildConnector.connector;
  /** Sends a request for an http target. */
  forward(url: URL, request: WireRequest): Promise<Dispatcher.ResponseData>;
  close(): Promise<void>;
  destroy(): Promise<void>;
}

/** A request without where it goes. */
export interface WireRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly signal: AbortSignal;
}

export type PoolTimeouts = Pick<Pool.Options, 'headersTimeout' | 'bodyTimeout' | 'keepAliveTimeout'>;

/** Takes the proxy's URL, `http[s]://host[:port]`. Its own certificate is verified as those of targets are. */
export function egressProxy(proxy: URL, options: ConnectOptions, timeouts: PoolTimeouts): EgressProxy {
  const pool = new Pool(proxy.origin, {
    ...timeouts,
    connect: proxyConnector(proxy, options),
    connections: 256,
    pipelining: 1,
    allowH2: false,
  });
  const startTls = buildConnector(tlsOptions(options));
  return {
    connector: (admit) => (target, callback) => {
      const signal = AbortSignal.timeout(options.timeout);
      const place = target.port === '' ? `${target.host}:443` : `${target.host}`;
      admit(target.hostname)
        .then(() => openTunnel(pool, proxy, place, signal))
        .then(
          (socket) => {
            const tooLate = () => socket.destroy(signal.reason);
            signal.addEventListener('abort', tooLate);
            startTls({ ...target, httpSocket: socket }, (...result) => {
              signal.removeEventListener('abort', tooLate);
              callback(...result);
            });
          },
          (error: Error) => callback(error, null),
        );
    },
    forward: async (url, { headers, ...request }) => {
      const path = `${url.origin}${url.pathname}${url.search}`;
      const answer = await pool.request({ ...request, path, headers: { host: url.host, ...headers } });
      if (answer.statusCode !== 407) return answer;
      await answer.body.dump().catch(() => {});
      throw refusal(proxy, 407, url.host);
    },
    close: () => pool.close(),
    destroy: () => pool.destroy(),
  };
}

type Tunnel = Dispatcher.ConnectData['socket'] & NonNullable<buildConnector.Options['httpSocket']>;

async function openTunnel(pool: Pool, proxy: URL, place: string, signal: AbortSignal): Promise<Tunnel> {
  const { socket, statusCode } = await pool
    .connect({ path: place, headers: { host: place }, signal })
    .catch((error: unknown) => {
      if (signal.aborted) throw new UpstreamError('timeout', `${proxy.host}: no tunnel to ${place} in time`);
      throw proxyFailure(proxy, error);
    });
  if (statusCode >= 200 && statusCode < 300) return socket as Tunnel;
  socket.on('error', () => {}).destroy();
  throw refusal(proxy, statusCode, place);
}

/** Connects to the proxy itself, wherever it is. undici would take the name for SNI from the target's Host header. */
function proxyConnector(proxy: URL, options: ConnectOptions): buildConnector.connector {
  const connect = directConnector(options, { permitted: () => true, learn: () => {} });
  const servername = literalKind(proxy.hostname) === undefined ? proxy.hostname : '';
  return (target, callback) => {
    connect({ ...target, host: proxy.host, servername }, (...[error, socket]) => {
      if (error === null) callback(null, socket);
      else callback(proxyFailure(proxy, error), null);
    });
  };
}

function proxyFailure(proxy: URL, error: unknown): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const { code } = toUpstreamError(error, proxy.host) as UpstreamError;
  return new UpstreamError('proxy', `${proxy.host}: the egress proxy cannot be used (${code})`, {
    cause: error,
  });
}

function refusal(proxy: URL, status: number, place: string): UpstreamError {
  return new UpstreamError('proxy', `${proxy.host}: the egress proxy answered ${status} for ${place}`);
}
