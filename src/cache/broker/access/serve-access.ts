/**
 * Answers what nginx asks before it serves anything of a `passThrough` mirror. nginx's `auth_request` knows 401 and 403 only; what else
 * a client is to be told stands in `X-Refusal`.
 */
import { type Answer, jsonAnswer, keepFor } from '../answer.ts';
import type { Mirror } from '../mirror.ts';
import { upstreamStatusHeader } from '../peers/told.ts';
import type { AccessRoute, ObjectRoute } from '../routes.ts';
import type { Permission } from './client-access.ts';
import type { ObjectQuestion } from './object-request.ts';

export interface AccessQuestion {
  readonly authorization: string | undefined;
  /** The client has the upstream itself behind us: it is never told of a refusal. */
  readonly isFallback: boolean;
  readonly signal: AbortSignal;
}

/**
 * Returns 204 when the client may read the object, else 401 with its challenge, or 403. The upstream is asked where `mayAsk`, else nothing is known.
 * Rejects only when `signal` aborts.
 */
export async function serveAccess(
  mirror: Mirror,
  route: AccessRoute,
  question: AccessQuestion,
  mayAsk: boolean,
): Promise<Answer> {
  const permission: Permission = mayAsk ? await permissionOf(mirror, route, question) : { kind: 'unknown' };
  return route.kind === 'ping' ? pingAnswer(permission) : permissionAnswer(permission, question.isFallback);
}

function permissionOf(mirror: Mirror, route: AccessRoute, question: AccessQuestion): Promise<Permission> {
  if (route.kind === 'ping') return mirror.access.ping(question.authorization, question.signal);
  return mirror.access.permission(objectQuestion(mirror, route.object, question));
}

/**
 * Takes what the request of a client that may read failed with, which may end that. Returns a 401 where the client is to show who it
 * is. Never for other mirrors: there the challenge is for us.
 */
export async function challengeAnswer(
  mirror: Mirror,
  route: ObjectRoute,
  question: AccessQuestion,
  error: unknown,
): Promise<Answer | undefined> {
  if (mirror.config.access !== 'passThrough') return undefined;
  const refusal = await mirror.access.refusal(objectQuestion(mirror, route, question), error);
  if (question.isFallback || refusal.kind !== 'unauthorized') return undefined;
  const { headers, ...answer } = unauthorized(refusal.challenge);
  return { ...answer, headers: { ...headers, [upstreamStatusHeader]: '401' } };
}

function objectQuestion(
  mirror: Mirror,
  route: ObjectRoute,
  { authorization, signal }: AccessQuestion,
): ObjectQuestion {
  return { route, repository: mirror.upstreamRepository(route.repository), authorization, signal };
}

function permissionAnswer(permission: Permission, isFallback: boolean): Answer {
  if (permission.kind === 'allowed') return { status: 204, headers: keepFor(0), body: '' };
  const { kind } = permission;
  if (isFallback) return refused(kind === 'unknown' ? 503 : 404);
  if (kind === 'absent') return refused(404);
  if (kind === 'denied') return refused(403);
  const isAsked = kind === 'unauthorized' || permission.challenge !== undefined;
  return isAsked ? unauthorized(permission.challenge) : refused(503);
}

function pingAnswer(permission: Permission): Answer {
  // An upstream without `/v2/` asks for nothing there.
  if (permission.kind === 'allowed' || permission.kind === 'absent') return jsonAnswer(200, {});
  if (permission.kind === 'unauthorized') return unauthorized(permission.challenge);
  const [status, code] = permission.kind === 'denied' ? [403, 'DENIED'] : [503, 'UNAVAILABLE'];
  return jsonAnswer(Number(status), { errors: [{ code, message: 'the upstream says so of /v2/' }] });
}

function unauthorized(challenge: string | undefined): Answer {
  const answer = jsonAnswer(401, {
    errors: [{ code: 'UNAUTHORIZED', message: 'the upstream wants to know who asks' }],
  });
  if (challenge === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, 'WWW-Authenticate': challenge } };
}

function refused(status: 403 | 404 | 503): Answer {
  return { status: 403, headers: { ...keepFor(0), 'X-Refusal': String(status) }, body: '' };
}
