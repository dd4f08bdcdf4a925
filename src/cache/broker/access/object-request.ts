/** How the upstream is asked whether a client may read an object, and which answers mean that it may. */
import { bareType, isManifestType } from '../../../registry/media-types.ts';
import { discard } from '../../../registry/read-body.ts';
import type { UpstreamAnswer, UpstreamClient } from '../../../registry/upstream-client.ts';
import { UpstreamError } from '../../../registry/upstream-error.ts';
import { acceptByDigest } from '../accept.ts';
import type { ObjectRoute } from '../routes.ts';

export interface ObjectQuestion {
  readonly route: ObjectRoute;
  /** As the upstream knows it. */
  readonly repository: string;
  /** The client's own header, empty for none; absent: as anybody may ask. */
  readonly authorization: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * Resolves when the upstream gives the object to this client, without fetching it. Rejects with `UpstreamStatusError` for a
 * refusal and with `UpstreamError`. Redirects are followed: one to a page for logging in is no permission.
 */
export async function askForObject(client: UpstreamClient, question: ObjectQuestion): Promise<void> {
  const answer = await ask(client, question);
  const { status, headers, url } = answer;
  if (status !== 200 && status !== 206) throw await client.refuse(answer);
  await discard(answer);
  const type = headers['content-type'];
  if (!isOf(question.route.kind, bareType(typeof type === 'string' ? type : undefined))) {
    throw new UpstreamError('answer', `${url.host}: expected an object of a registry, got something else`);
  }
}

/** Lists have no HEAD. Where a HEAD is not known, or its redirect was signed for GET, one byte of a GET tells as much. */
async function ask(client: UpstreamClient, question: ObjectQuestion): Promise<UpstreamAnswer> {
  const { route, ...asked } = question;
  const path = pathOf(route);
  const headers = { accept: route.kind === 'manifest' ? acceptByDigest : '*/*' };
  if (route.kind === 'list') return client.request({ ...asked, method: 'GET', path, headers });
  const answer = await client.request({ ...asked, method: 'HEAD', path, headers });
  if (!knowsNoHead(answer)) return answer;
  await discard(answer);
  const part = route.kind === 'blob' ? { range: 'bytes=0-0' } : {};
  return client.request({ ...asked, method: 'GET', path, headers: { ...headers, ...part } });
}

function pathOf(route: ObjectRoute): string {
  if (route.kind === 'blob') return `blobs/${route.digest.text}`;
  if (route.kind === 'manifest') return `manifests/${route.reference}`;
  return route.path === 'tags/list' ? 'tags/list?n=1' : route.path;
}

function knowsNoHead({ status, foreign }: UpstreamAnswer): boolean {
  return [400, 405, 501].includes(status) || (foreign && (status === 401 || status === 403));
}

function isOf(kind: ObjectRoute['kind'], mediaType: string): boolean {
  if (kind === 'manifest') return isManifestType(mediaType);
  return kind === 'list' ? /[/+]json$/.test(mediaType) : mediaType !== 'text/html';
}
