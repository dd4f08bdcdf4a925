/** What can go wrong between us and an upstream, by what the one who asked must be told. */

export type UpstreamFailure =
  | 'dns'
  | 'refused'
  | 'tls'
  | 'timeout'
  /** The connection ended before the answer did. */
  | 'broken'
  /** The egress proxy could not be reached, or would not lead there. */
  | 'proxy'
  /** A redirect that may not be followed: scheme, address, too many. */
  | 'redirect'
  /** The token server did not give what the distribution token specification says. */
  | 'token'
  /** An answer that is not what was asked for: type, encoding, range, size. */
  | 'answer'
  /** Bytes that are not what their digest says. */
  | 'digest';

/** Nothing usable came back. The message names hosts, never a URL's query or a credential. */
export class UpstreamError extends Error {
  readonly code: UpstreamFailure;
  constructor(code: UpstreamFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UpstreamError';
    this.code = code;
  }
}

/** The upstream (or its token server) answered with a status that is not the one hoped for. */
export class UpstreamStatusError extends Error {
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
  /** True when it was shown our credentials and would not take them. */
  readonly credentialsRefused: boolean;
  /** What the upstream asks the client for, where it was shown the client's own `Authorization`. */
  readonly challenge: string | undefined;

  constructor(
    status: number,
    message: string,
    details: {
      retryAfterSeconds?: number | undefined;
      credentialsRefused?: boolean;
      challenge?: string | undefined;
    } = {},
  ) {
    super(message);
    this.name = 'UpstreamStatusError';
    this.status = status;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.credentialsRefused = details.credentialsRefused ?? false;
    this.challenge = details.challenge;
  }
}

const byCode: Readonly<Record<string, UpstreamFailure>> = {
  ENOTFOUND: 'dns',
  ENODATA: 'dns',
  ECONNREFUSED: 'refused',
  EHOSTUNREACH: 'refused',
  ENETUNREACH: 'refused',
  EADDRNOTAVAIL: 'refused',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  HOSTNAME_MISMATCH: 'tls',
  EPROTO: 'tls',
};
const tlsCode = /^(?:CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|CRL_|ERR_OSSL)/;

/** Takes what a socket, the resolver, TLS or undici threw and returns it as an `UpstreamError` that names `host`. */
export function toUpstreamError(error: unknown, host: string): UpstreamError | UpstreamStatusError {
  if (error instanceof UpstreamError || error instanceof UpstreamStatusError) return error;
  if (isTimeout(error)) return new UpstreamError('timeout', `${host}: no answer in time`, { cause: error });
  const code = errorCode(error);
  const failure = byCode[code] ?? (code.startsWith('EAI_') ? 'dns' : tlsCode.test(code) ? 'tls' : 'broken');
  return new UpstreamError(failure, `${host}: ${code || 'connection failed'}`, { cause: error });
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}

function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return '';
  // Happy eyeballs: every address failed; the first failure stands for all.
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error.cause === undefined ? '' : errorCode(error.cause);
}

/** Returns a `Retry-After` header (seconds or a date, RFC 9110 section 10.2.3) in seconds, from 1 to one hour. */
export function parseRetryAfter(value: string | string[] | undefined, now: number): number | undefined {
  if (typeof value !== 'string') return undefined;
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - now) / 1000);
  return Number.isNaN(seconds) ? undefined : Math.min(3600, Math.max(1, seconds));
}
