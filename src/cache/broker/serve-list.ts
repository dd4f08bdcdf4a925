/** Passes tag lists and referrers through; nginx keeps them for a moment, and for when the upstream fails. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isRecord } from '../../api/is-record.ts';
import { authorizationKey } from '../../registry/authorization-key.ts';
import { bareType } from '../../registry/media-types.ts';
import { discard, readBody } from '../../registry/read-body.ts';
import { UpstreamError } from '../../registry/upstream-error.ts';
import { type Answer, failureMs, keepFor } from './answer.ts';
import { nextPage, upstreamQuery } from './list-pages.ts';
import type { Mirror } from './mirror.ts';
import type { Route } from './routes.ts';

const maxBytes = 4 * 1024 * 1024;
const keptSeconds = 1;

type ListRoute = Extract<Route, { kind: 'list' }>;

interface ListQuestion {
  readonly headers: IncomingHttpHeaders;
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
}

/** Returns the upstream's list with its `Link` to the next page leading through us; rejects with what it failed with. */
export async function serveList(mirror: Mirror, route: ListRoute, question: ListQuestion): Promise<Answer> {
  const path = `${route.path}${upstreamQuery(route.query)}`;
  const key = `${route.repository}/${path} ${authorizationKey(question.authorization)}`;
  mirror.blobFailures.throwKnown(key);
  try {
    return await askList(mirror, route, path, question);
  } catch (error) {
    if (!question.signal.aborted) mirror.blobFailures.note(key, error, failureMs(error));
    throw error;
  }
}

async function askList(
  mirror: Mirror,
  route: ListRoute,
  path: string,
  question: ListQuestion,
): Promise<Answer> {
  const answer = await mirror.client.request({
    method: 'GET',
    repository: mirror.upstreamRepository(route.repository),
    path,
    headers: { accept: 'application/vnd.oci.image.index.v1+json, application/json' },
    authorization: question.authorization,
    signal: question.signal,
  });
  if (answer.status !== 200) throw await mirror.client.refuse(answer);
  const type = answer.headers['content-type'];
  const mediaType = bareType(typeof type === 'string' ? type : undefined);
  if (
    !/^application\/(?:[a-z0-9.+_-]+\+)?json$/.test(mediaType) ||
    isPacked(answer.headers['content-encoding'])
  ) {
    await discard(answer);
    throw new UpstreamError('answer', `${answer.url.host}: expected JSON, got something else`);
  }
  const bytes = await readBody(answer.body, maxBytes, answer.url.host);
  mirror.client.counters.bytes += bytes.length;
  mirror.status.note(undefined, 'list');
  const body = route.path === 'tags/list' ? named(bytes, route.repository, answer.url.host) : bytes;
  const page = nextPage(answer.headers['link'], answer.url.host);
  const link = nextLink(page, route, question.headers['x-forwarded-prefix']);
  const filters = answer.headers['oci-filters-applied'];
  const etag = `"${createHash('sha256').update(`${link}\n`).update(body).digest('hex')}"`;
  if (question.headers['if-none-match'] === etag)
    return { status: 304, headers: { ETag: etag, ...keepFor(keptSeconds) }, body: '' };
  return {
    status: 200,
    headers: {
      // By which nginx says, when it asks again, that it has one.
      ETag: etag,
      'Content-Type': mediaType,
      ...keepFor(keptSeconds),
      ...(link === undefined ? {} : { Link: link }),
      ...(typeof filters === 'string' ? { 'OCI-Filters-Applied': filters } : {}),
    },
    body,
  };
}

/** A tag list with the repository's name as the client has it: the upstream's own may have a path before it. */
function named(bytes: Buffer, name: string, host: string): string {
  const list = parseJson(bytes.toString());
  if (!isRecord(list)) {
    throw new UpstreamError('answer', `${host}: expected a tag list, got something else`);
  }
  return JSON.stringify({ ...list, name });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The upstream's next page under the path by which the client came: its own path has the upstream's names in it. */
function nextLink(
  query: URLSearchParams | undefined,
  route: ListRoute,
  prefix: string | string[] | undefined,
): string | undefined {
  if (query === undefined) return undefined;
  const own = route.query.get('ns');
  if (own !== null && own !== '') query.set('ns', own);
  const base = typeof prefix === 'string' && /^\/v2\/[a-z0-9.:[\]/-]+$/.test(prefix) ? prefix : '/v2';
  return `<${base}/${route.repository}/${route.path}?${query}>; rel="next"`;
}

function isPacked(encoding: string | string[] | undefined): boolean {
  return (encoding ?? 'identity') !== 'identity';
}
