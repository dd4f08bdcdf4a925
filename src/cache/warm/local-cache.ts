/** Asks the nginx of one's own pod or machine over its unix socket, as a client that pulls. */
import { Agent, type IncomingMessage, request } from 'node:http';
import { parseRetryAfter } from '../../registry/upstream-error.ts';
import { WarmError } from './warm-error.ts';

/** One mirror in a cache. */
export interface LocalCache {
  /** Resolves with a 200 or 206 whose body must be read or destroyed; rejects with `WarmError` otherwise. */
  ask(question: Question): Promise<IncomingMessage>;
  close(): void;
}

export interface Question {
  readonly method?: 'GET' | 'HEAD';
  /** Below the mirror: `library/nginx/manifests/latest`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** nginx gives the broker 90 s, and whoever waits for another's download hears nothing meanwhile. Milliseconds. */
const silentMs = 180_000;

/** Opens the mirror known as `masquerade` in the cache behind `socketPath`; connects to nothing yet. */
export function openLocalCache(socketPath: string, masquerade: string): LocalCache {
  const agent = new Agent({ keepAlive: true });
  return {
    ask: (question) => ask({ socketPath, masquerade, agent }, question),
    close: () => agent.destroy(),
  };
}

interface Place {
  readonly socketPath: string;
  readonly masquerade: string;
  readonly agent: Agent;
}

async function ask(place: Place, question: Question): Promise<IncomingMessage> {
  const { path, signal } = question;
  const answer = await send(place, question).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new WarmError('broken', `${path}: ${reasonOf(cause, place.socketPath)}`);
  });
  const status = answer.statusCode ?? 0;
  if (status === 200 || status === 206) return answer;
  answer.resume();
  const seconds = parseRetryAfter(answer.headers['retry-after'], Date.now());
  const retryAfterMs = seconds === undefined ? undefined : seconds * 1000;
  throw new WarmError('status', `${path}: the cache answered ${status}${meaning(status)}`, {
    status,
    retryAfterMs,
  });
}

function send(
  place: Place,
  { method = 'GET', path, headers = {}, signal }: Question,
): Promise<IncomingMessage> {
  const { socketPath, masquerade, agent } = place;
  return new Promise((resolve, reject) => {
    const asked = request({
      socketPath,
      agent,
      method,
      path: `/v2/${masquerade}/${path}`,
      headers: { host: masquerade, ...headers },
      timeout: silentMs,
      signal,
    });
    asked.on('timeout', () => asked.destroy(new Error(`nothing came for ${silentMs / 1000} s`)));
    asked.on('response', resolve).on('error', reject).end();
  });
}

function reasonOf(cause: unknown, socketPath: string): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return `no cache answers on ${socketPath}`;
  return code || (cause instanceof Error ? cause.message : 'no answer');
}

function meaning(status: number): string {
  if (status === 404) return ': the upstream does not have it, or the credentials may not read it';
  if (status === 401 || status === 403) return ': the credentials may not read it';
  return status >= 500 ? ': the upstream cannot be reached' : '';
}
