/** Sends one HTTPS request to the control plane's API server. */
import { Agent, type Dispatcher, request } from 'undici';

/** A Kubernetes object as the API server returns it. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    [field: string]: unknown;
  };
  [field: string]: unknown;
}

/** The parts of a request; an object as `body` is sent as JSON, a string as it is. */
export interface RequestOptions {
  method?: string;
  body?: unknown;
  contentType?: string;
  headers?: Record<string, string>;
  /** Used instead of the admin's token. */
  token?: string;
  signal?: AbortSignal;
}

/** An answer of 400 or more. `code` is the HTTP status; `reason` and the message are those of the API server. */
export class StatusError extends Error {
  readonly code: number;
  readonly reason: string | undefined;

  constructor(code: number, request: string, body: unknown) {
    const status = (typeof body === 'object' && body !== null ? body : {}) as Record<string, string>;
    super(`${request}: ${code} ${status['message'] ?? body}`);
    this.name = 'StatusError';
    this.code = code;
    this.reason = status['reason'];
  }
}

/** Returns an agent that trusts `ca` (PEM). */
export function createAgent(ca: string): Agent {
  return new Agent({ connect: { ca }, allowH2: false });
}

/**
 * Sends one request and returns the parsed JSON, or the text where it is none (/readyz, a watch of several events).
 * Throws StatusError for an answer of 400 or more.
 */
export async function sendRequest<T>(agent: Agent, url: string, init: RequestOptions): Promise<T> {
  const method = (init.method ?? 'GET') as Dispatcher.HttpMethod;
  const send = async () => {
    const { statusCode, body } = await request(url, {
      dispatcher: agent,
      method,
      headers: headersOf(init),
      ...(init.body !== undefined && { body: encode(init.body) }),
      ...(init.signal && { signal: init.signal }),
    });
    return { statusCode, answer: parse(await body.text()) };
  };
  // A connection from before the server was restarted says nothing about this one; a write may have been made.
  const { statusCode, answer } = await send().catch((error: unknown) => {
    if (method === 'GET' && isBroken(error)) return send();
    throw error;
  });
  if (statusCode >= 400) throw new StatusError(statusCode, `${method} ${new URL(url).pathname}`, answer);
  return answer as T;
}

function isBroken(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && ['UND_ERR_SOCKET', 'ECONNRESET'].includes(String(error.code))
  );
}

function encode(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body);
}

function headersOf(init: RequestOptions): Record<string, string> {
  return {
    authorization: `Bearer ${init.token}`,
    'content-type': init.contentType ?? 'application/json',
    ...init.headers,
  };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
