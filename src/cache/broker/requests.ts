/** One request of nginx from route to answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../../observe/log.ts';
import { UpstreamStatusError } from '../../registry/upstream-error.ts';
import { identityHeader } from '../upstream-identity.ts';
import { challengeAnswer, serveAccess } from './access/serve-access.ts';
import {
  type Answer,
  errorAnswer,
  failureAnswer,
  failureSeconds,
  forFallback,
  jsonAnswer,
} from './answer.ts';
import type { LeftFills } from './left-fills.ts';
import { type ProcessState, processReport } from './metrics/process-report.ts';
import type { Mirror } from './mirror.ts';
import { type AccessRoute, type ObjectRoute, parseRoute } from './routes.ts';
import { NotTakenError, serveBlob } from './serve-blob.ts';
import { serveList } from './serve-list.ts';
import { serveManifest } from './serve-manifest.ts';
import { type Fill, keptIfRoom, passing } from './store/admission.ts';
import { NoRoomError } from './store/growing-body.ts';
import type { Store } from './store/store.ts';
import { isStoreRequest } from './store/store-requests.ts';

/** What requests are answered from; both change while the broker runs. */
export interface RequestContext extends ProcessState {
  readonly mirror: (name: string) => Mirror | undefined;
  readonly sliceBytes: () => number;
  readonly store: Store;
  /** One for each request that is being answered; aborting it breaks the answer off. */
  readonly running: Set<AbortController>;
  readonly leftFills: LeftFills;
  readonly log: Logger;
  /** Takes on a changed configuration at once, and not only when it is looked at again; false: it is a bad one. */
  readonly catchUp: () => Promise<boolean>;
}

/** Why an answer is broken off that nobody waits for any more. */
const nginxLeft = Symbol('nginx closed the connection');

/** By which address of the cache the client came; nginx says so. */
const addressKindHeader = 'x-address-kind';

const unknownCode: Readonly<Record<ObjectRoute['kind'], string>> = {
  blob: 'BLOB_UNKNOWN',
  manifest: 'MANIFEST_UNKNOWN',
  list: 'NAME_UNKNOWN',
};

/** Answers one request; never rejects. */
export async function handleRequest(
  context: RequestContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  context.running.add(gone);
  response.once('close', () => {
    context.running.delete(gone);
    gone.abort(nginxLeft);
  });
  // A peer that goes away is no fault; without a listener its error would end the process.
  response.on('error', () => {});
  if (isStoreRequest(request)) return context.store.answer(request, response);
  request.resume();
  const { method } = request;
  const route = parseRoute(request.url ?? '');
  if (method !== 'GET' && method !== 'HEAD') {
    send(response, errorAnswer(405, 'UNSUPPORTED', 'expected GET or HEAD'));
  } else if (route === undefined) send(response, errorAnswer(404, 'NAME_UNKNOWN', 'no such object'));
  else if (route.kind === 'health') send(response, jsonAnswer(200, {}));
  else if (route.kind === 'status') send(response, jsonAnswer(200, processReport(context)));
  else if (route.kind === 'authorize' || route.kind === 'ping') {
    await handleAccess(context, route, request, response, gone.signal);
  } else await handleMirror(context, route, request, response, gone.signal);
}

async function handleAccess(
  context: RequestContext,
  route: AccessRoute,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { headers } = request;
  if (!isMeant(context.mirror(route.mirror), request)) await context.catchUp();
  const mirror = context.mirror(route.mirror);
  if (mirror === undefined) return send(response, errorAnswer(404, 'NAME_UNKNOWN', 'no such mirror'));
  const isFallback = headers[addressKindHeader] === 'fallback';
  const { authorization } = headers;
  // What a client shows is for the upstream that nginx means, and so is what it may read of what nginx has.
  const mayAsk = isMeant(mirror, request);
  try {
    send(response, await serveAccess(mirror, route, { authorization, isFallback, signal }, mayAsk));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function handleMirror(
  context: RequestContext,
  route: ObjectRoute,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  if (!isMeant(context.mirror(route.mirror), request) && !(await context.catchUp()))
    return send(response, errorAnswer(503, 'UNAVAILABLE', 'the upstream of this mirror is being changed'));
  const mirror = context.mirror(route.mirror);
  if (mirror === undefined) return send(response, errorAnswer(404, 'NAME_UNKNOWN', 'no such mirror'));
  if (isCutOff(request)) {
    return send(response, errorAnswer(502, 'UNAVAILABLE', 'the part before this one was not whole'));
  }
  // nginx turns a HEAD of a blob into a GET of its first slice, which it keeps.
  if (route.kind === 'blob' && request.method === 'HEAD') {
    return send(response, errorAnswer(405, 'UNSUPPORTED', 'expected GET'));
  }
  // nginx is yet to be told of a changed upstream: under the first one's name nothing of the second is kept, nor said to be what nginx has.
  const isKnown = isMeant(mirror, request);
  const fill = isKnown ? context.store.begin(mirror.config.name, response) : passing;
  if (!isKnown) delete request.headers['if-none-match'];
  try {
    const answer = await answerFor(context, mirror, route, request, response, signal, fill);
    if (answer !== undefined) send(response, told(mirror, await keptIfRoom(fill, answer)));
    if (signal.reason === nginxLeft) await fetchAgain(context, mirror, route, request, fill);
  } catch (error) {
    // A failed write tells sooner than the end of the connection.
    const hasLeft = signal.reason === nginxLeft || error instanceof NotTakenError;
    if (hasLeft) return await fetchAgain(context, mirror, route, request, fill);
    if (signal.aborted) return;
    mirror.status.note(error, route.kind);
    context.log.debug({ mirror: mirror.config.name, object: request.url, error }, 'Request failed');
    if (error instanceof NoRoomError) {
      const { name } = mirror.config;
      context.log.warn(
        { mirror: name, object: request.url },
        'A blob was broken off for want of room; it passes from now on',
      );
    }
    // A body that has begun was broken off by whoever sent it.
    if (response.headersSent) return;
    const isNotKept = isLaterSlice(route, request) || isClients(mirror, error) || hidesCopy(request, error);
    const seconds = isNotKept ? 0 : failureSeconds(error);
    const isFallback = request.headers[addressKindHeader] === 'fallback';
    const { authorization } = request.headers;
    const answer =
      (await challengeAnswer(mirror, route, { authorization, isFallback, signal }, error)) ??
      failureAnswer(error, unknownCode[route.kind], seconds);
    const heard = isFallback ? forFallback(answer, unknownCode[route.kind]) : answer;
    send(response, told(mirror, await keptIfRoom(fill, heard)));
  }
}

/**
 * nginx waits for the end of whatever it keeps, even when its client has gone: when it does not, the worker that asked was killed.
 * What it does not keep it leaves when its client does. Lists are kept for a moment only.
 */
async function fetchAgain(
  context: RequestContext,
  { config }: Mirror,
  route: ObjectRoute,
  { method, headers }: IncomingMessage,
  { mayBeKept }: Fill,
): Promise<void> {
  if (route.kind === 'list' || !mayBeKept) return;
  const object = route.kind === 'blob' ? `blobs/${route.digest.text}` : `manifests/${route.reference}`;
  await context.leftFills.fetch({
    method: method === 'HEAD' ? 'HEAD' : 'GET',
    masquerade: config.masquerade,
    path: `${route.repository}/${object}`,
    headers,
  });
}

/** With what other replicas know it by: an answer of another upstream than theirs is none for them. */
function told({ peers }: Mirror, answer: Answer): Answer {
  return { ...answer, headers: { ...answer.headers, [identityHeader]: peers.identity } };
}

/** nginx asks for the next slice although it found the one before too short: the client must see no byte of it. */
function isCutOff({ headers }: IncomingMessage): boolean {
  return headers['x-cut-off'] !== undefined;
}

/** nginx and broker take a changed upstream at different moments. */
function isMeant(mirror: Mirror | undefined, { headers }: IncomingMessage): boolean {
  const asked = headers[identityHeader];
  return asked === undefined || asked === mirror?.peers.identity;
}

/** nginx cannot turn aside a subrequest, so the failure of one repository's later slice may not stand for the others'. */
function isLaterSlice({ kind }: ObjectRoute, { headers }: IncomingMessage): boolean {
  return kind === 'blob' && !/^bytes=0-/.test(headers.range ?? 'bytes=0-');
}

/**
 * A refusal that nginx kept would stand in the place of what it has, and once it is over nginx has forgotten that it lies on its disk: it would be gone
 * for when the upstream is away.
 */
function hidesCopy({ headers }: IncomingMessage, error: unknown): boolean {
  const hasCopy = headers['if-none-match'] !== undefined;
  return hasCopy && isRefusal(error);
}

/** What the upstream refuses to one client it may let another read, whose failures have the same place in nginx's cache. */
function isClients({ config }: Mirror, error: unknown): boolean {
  return config.access === 'passThrough' && isRefusal(error);
}

function isRefusal(error: unknown): boolean {
  return error instanceof UpstreamStatusError && error.status < 500;
}

/** Undefined: the answer was streamed. */
async function answerFor(
  context: RequestContext,
  mirror: Mirror,
  route: ObjectRoute,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
  fill: Fill,
): Promise<Answer | undefined> {
  const { headers } = request;
  const fromPeer = headers[addressKindHeader] === 'peer';
  const authorization = mirror.config.access === 'passThrough' ? headers.authorization : undefined;
  if (route.kind === 'list') return serveList(mirror, route, { headers, authorization, signal });
  if (route.kind === 'manifest') {
    return serveManifest(mirror, route, {
      method: request.method === 'HEAD' ? 'HEAD' : 'GET',
      headers,
      fromPeer,
      authorization,
      signal,
    });
  }
  const question = {
    range: headers.range,
    sliceBytes: context.sliceBytes(),
    fromPeer,
    authorization,
    signal,
    fill,
  };
  await serveBlob(mirror, route, question, response);
  return undefined;
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  const length = status === 204 || status === 304 ? {} : { 'Content-Length': Buffer.byteLength(body) };
  response.writeHead(status, { ...length, ...headers });
  response.end(body);
}
