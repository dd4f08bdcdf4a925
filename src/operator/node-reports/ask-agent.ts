/** One request to one node agent, over mutual TLS. */
import { request } from 'node:https';
import type { SecureContext } from 'node:tls';
import { limitedText } from '../polling/limited-text.ts';
import type { AgentEndpoint } from './node-agents.ts';

export interface AgentRequest {
  readonly method: 'GET' | 'POST';
  readonly path: '/status' | '/restart' | '/list';
  /** Sent as JSON. */
  readonly body?: object;
}

export interface AgentAnswer {
  readonly status: number;
  readonly text: string;
}

/** Rejects where nobody whom the operator's authority vouches for answers in time and with a bounded text. */
export type AskAgent = (
  endpoint: AgentEndpoint,
  context: SecureContext,
  asked: AgentRequest,
  signal: AbortSignal,
) => Promise<AgentAnswer>;

/** From connecting to the end of the answer. */
const timeoutMs = 2_000;
/** In bytes: what an agent has to tell of all mirrors for which there are ports by default (NODE_PORTS). */
export const mostAnswered = 1024 * 1024;

/** No connection and no TLS session is kept: the next request may be half a minute away. */
export const askAgent: AskAgent = async (endpoint, secureContext, { method, path, body }, signal) => {
  const { address: host, port, serverName: servername } = endpoint;
  const text = body === undefined ? undefined : JSON.stringify(body);
  const { promise, resolve, reject } = Promise.withResolvers<AgentAnswer>();
  const asked = request({
    ...{ host, port, servername, secureContext, method, path, agent: false },
    // The name is the certificate's, not the address's.
    headers: {
      host: servername,
      ...(text !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      }),
    },
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  asked.on('error', reject).once('response', (response) => {
    const status = response.statusCode ?? 0;
    limitedText(response, mostAnswered).then((answer) => resolve({ status, text: answer }), reject);
  });
  asked.end(text);
  return promise.finally(() => asked.destroy());
};
