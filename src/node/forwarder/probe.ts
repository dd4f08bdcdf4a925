/** Whether a mirror answers at one address: the question, and what a row of answers means. */
import { connect as connectUnencrypted, type Socket } from 'node:net';
import { type ConnectionOptions, connect, type SecureContext, type TLSSocket } from 'node:tls';
import { errorMessage } from '../../observe/error-message.ts';
import { errorCode } from '../files.ts';
import { parseAddress } from './config.ts';

/** What came of one question. */
export type ProbeResult =
  | { readonly good: true }
  | { readonly good: false; readonly reason: ProbeFailure; readonly detail: string };

/** `Refused`: nobody listens. `Timeout`: no answer in time. `Untrusted`: not the certificate wanted. `Status`: an answer that is none. */
export type ProbeFailure = 'Refused' | 'Timeout' | 'Untrusted' | 'Status' | 'Failed';

/** Whether an address is offered, since when (ms since 1970) and why. */
export interface ProbeState {
  readonly offered: boolean;
  readonly since: number;
  readonly reason: 'NotProbed' | 'Answers' | ProbeFailure;
  readonly detail: string;
  /** Answers in a row that speak against `offered`. */
  readonly against: number;
}

/** So many answers in a row change what is offered. */
const answersInARow = 2;

export function firstState(now: number): ProbeState {
  return { offered: false, since: now, reason: 'NotProbed', detail: '', against: 0 };
}

/** Pure: two good answers in a row offer an address, two bad ones withdraw it. The very first good one counts at once, and so does a refusal. */
export function nextState(state: ProbeState, result: ProbeResult, now: number): ProbeState {
  const reason = result.good ? 'Answers' : result.reason;
  const detail = result.good ? '' : result.detail;
  if (result.good === state.offered) {
    return result.good ? { ...state, against: 0 } : { ...state, reason, detail, against: 0 };
  }
  const against = state.against + 1;
  const atOnce = state.reason === 'NotProbed' || reason === 'Refused';
  if (!atOnce && against < answersInARow) return { ...state, against };
  return { offered: result.good, since: now, reason, detail, against: 0 };
}

/** Pure: a connection that could not be made counts as an answer against the address, but never withdraws it alone. */
export function doubtedState(state: ProbeState): ProbeState {
  return state.offered ? { ...state, against: Math.max(state.against, answersInARow - 1) } : state;
}

/** Where to ask and what to believe. */
export interface ProbeTarget {
  readonly address: string;
  readonly serverName: string;
  /** Authorities, certificate and key. */
  readonly secureContext: SecureContext;
  /** The certificate must be one that lets its owner read. */
  readonly asReader?: boolean;
  /** A unix socket by which nginx connects to the address, verifies it and shows the certificate: a fraction of a handshake of our own. */
  readonly socket?: string;
}

export interface ProbeTools {
  readonly connect?: (options: ConnectionOptions) => TLSSocket | Socket;
  /** For connection, handshake and answer together. */
  readonly timeoutMs?: number;
}

const defaultTimeoutMs = 1000;

/**
 * One TLS handshake, verified as the forwarder does, and one GET on it: of /health-check, which the mirror answers to everybody, or of /v2/, which it
 * answers to readers (with a challenge, where it passes that of the upstream on). By nginx where there is a socket; what is not good there is asked without
 * it in the same time, since nginx does not say why. Never rejects; leaves no connection.
 */
export function probe(target: ProbeTarget, tools: ProbeTools = {}): Promise<ProbeResult> {
  const { connect: open = connect, timeoutMs = defaultTimeoutMs } = tools;
  const { address, serverName: servername, secureContext, socket: path } = target;
  const late = Promise.withResolvers<ProbeResult>();
  const timeout: ProbeResult = { good: false, reason: 'Timeout', detail: `no answer within ${timeoutMs} ms` };
  const sockets: Socket[] = [];
  const timer = setTimeout(end, timeoutMs);
  let isOver = false;
  function end() {
    isOver = true;
    clearTimeout(timer);
    late.resolve(timeout);
    for (const socket of sockets) socket.destroy();
  }
  const askOn = (socket: Socket, isOpen: 'connect' | 'secureConnect') => {
    sockets.push(socket);
    return ask(socket, isOpen, target);
  };
  const asked = async () => {
    const told = path === undefined ? undefined : await askOn(connectUnencrypted({ path }), 'connect');
    if (told?.good === true) return told;
    if (isOver) return timeout;
    return askOn(open({ ...parseAddress(address), servername, secureContext }), 'secureConnect');
  };
  return Promise.race([asked(), late.promise]).finally(end);
}

/** Resolves with what the first bytes of the answer say, or with what went wrong; never, where nothing happens. */
function ask(
  socket: Socket,
  isOpen: 'connect' | 'secureConnect',
  { serverName, asReader = false }: ProbeTarget,
): Promise<ProbeResult> {
  const path = asReader ? '/v2/' : '/health-check';
  const goodStatuses = asReader ? ['200', '401'] : ['200'];
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  let text = '';
  socket.on(isOpen, () =>
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${serverName}\r\nConnection: close\r\n\r\n`),
  );
  socket.on('data', (piece: Buffer) => {
    text += piece.toString('latin1');
    if (text.length >= statusLength) resolve(resultOf(text, goodStatuses));
  });
  socket.on('end', () => resolve(resultOf(text, goodStatuses)));
  socket.on('error', (error) => resolve(failureOf(error)));
  return promise;
}

const statusLength = 'HTTP/1.1 200'.length;

function resultOf(text: string, goodStatuses: readonly string[]): ProbeResult {
  const status = /^HTTP\/1\.[01] ([0-9]{3})/.exec(text)?.[1];
  if (status !== undefined && goodStatuses.includes(status)) return { good: true };
  return { good: false, reason: 'Status', detail: status === undefined ? 'not HTTP' : `status ${status}` };
}

function failureOf(error: Error): ProbeResult {
  const detail = errorMessage(error);
  if (errorCode(error) === 'ECONNREFUSED') return { good: false, reason: 'Refused', detail };
  return { good: false, reason: isUntrusted(errorCode(error)) ? 'Untrusted' : 'Failed', detail };
}

/** OpenSSL's verdicts on a chain have no prefix in Node (`CERT_HAS_EXPIRED`), a wrong name is ERR_TLS_CERT_ALTNAME_INVALID. */
function isUntrusted(code = ''): boolean {
  return /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_|HOSTNAME_|PATH_LENGTH_|ERR_TLS_CERT_)/.test(
    code,
  );
}
