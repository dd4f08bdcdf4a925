/** Manifests: read whole, and checked before a byte is given on. */
import { digestOf, parseDigest } from './digest.ts';
import { bareType, isManifestType, manifestType } from './media-types.ts';
import { discard, readBody } from './read-body.ts';
import type { HttpAnswer } from './transport.ts';
import type { UpstreamAnswer, UpstreamClient, UpstreamRequest } from './upstream-client.ts';
import { UpstreamError } from './upstream-error.ts';

export interface ManifestRequest {
  readonly repository: string;
  /** A tag, or a digest as text. */
  readonly reference: string;
  readonly accept: string;
  /** The client's own, as in `UpstreamRequest`; absent: the mirror's. */
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
}

export interface Manifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
}

/** An answer, and where it came from; only the host is ever told. */
type ManifestAnswer = HttpAnswer & { readonly url: URL };

/** What registries accept as the largest manifest (OCI distribution specification, "Pushing Manifests"). Bytes. */
const maxBytes = 4 * 1024 * 1024;

/**
 * Returns a manifest whose bytes are what its digest says: the digest asked for, else the one the upstream states,
 * else its sha256. Rejects with `UpstreamStatusError` for any status but 200 and with `UpstreamError`.
 */
export async function fetchManifest(client: UpstreamClient, request: ManifestRequest): Promise<Manifest> {
  const answer = await client.request(upstreamRequest('GET', request));
  if (answer.status !== 200) throw await client.refuse(answer);
  const manifest = await readManifest(answer, request.reference);
  client.counters.bytes += manifest.bytes.length;
  return manifest;
}

/** Whoever sent it: reads an answer of 200 and checks encoding, type and digest. Rejects with `UpstreamError`. */
export async function readManifest(answer: ManifestAnswer, reference: string): Promise<Manifest> {
  const { host } = answer.url;
  if (isPacked(answer)) {
    await discard(answer);
    throw new UpstreamError('answer', `${host}: expected no Content-Encoding, got one`);
  }
  const bytes = await readBody(answer.body, maxBytes, host);
  const mediaType = manifestType(header(answer, 'content-type'), bytes);
  if (mediaType === undefined)
    throw new UpstreamError('answer', `${host}: expected a manifest, got something else`);
  return { bytes, mediaType, digest: checkedDigest(answer, reference, bytes) };
}

/** What HEAD says of a manifest; nothing of it is checked against bytes. */
export interface ManifestHead {
  readonly mediaType: string;
  readonly digest: string;
  readonly length: number;
}

/** Which manifest it is upstream, and what a client may be told of it: nothing where `fetchManifest` would refuse it. */
export interface StatedManifest {
  readonly digest: string;
  readonly head: ManifestHead | undefined;
}

/** Asks without fetching; undefined when the upstream does not say it all, or knows no HEAD. Rejects as `fetchManifest`. */
export async function headManifest(
  client: UpstreamClient,
  request: ManifestRequest,
): Promise<StatedManifest | undefined> {
  const answer = await client.request(upstreamRequest('HEAD', request));
  if (knowsNoHead(answer)) {
    await discard(answer);
    return undefined;
  }
  if (answer.status !== 200) throw await client.refuse(answer);
  await discard(answer);
  const head = statedHead(answer);
  if (head === undefined) return undefined;
  const isRefused = isPacked(answer) || head.length === 0 || head.length > maxBytes;
  return { digest: head.digest, head: isRefused ? undefined : head };
}

/** What the headers of an answer say of a manifest; undefined when they do not say it all. */
export function statedHead(answer: Pick<HttpAnswer, 'headers'>): ManifestHead | undefined {
  const digest = parseDigest(header(answer, 'docker-content-digest') ?? '')?.text;
  const mediaType = bareType(header(answer, 'content-type'));
  const length = header(answer, 'content-length') ?? '';
  if (digest === undefined || !isManifestType(mediaType) || !/^\d{1,7}$/.test(length)) return undefined;
  return { digest, mediaType, length: Number(length) };
}

/** A URL that was signed for GET is refused for HEAD by where it leads to. */
function knowsNoHead({ status, foreign }: UpstreamAnswer): boolean {
  return (
    status === 400 || status === 405 || status === 501 || (foreign && (status === 401 || status === 403))
  );
}

function upstreamRequest(method: 'GET' | 'HEAD', request: ManifestRequest): UpstreamRequest {
  const { repository, reference, accept, authorization, signal } = request;
  return { method, repository, path: `manifests/${reference}`, headers: { accept }, authorization, signal };
}

function checkedDigest(answer: ManifestAnswer, reference: string, bytes: Buffer): string {
  const asked = parseDigest(reference);
  const stated = parseDigest(header(answer, 'docker-content-digest') ?? '');
  const expected = asked ?? stated;
  const got = digestOf(bytes, expected?.algorithm);
  if (expected === undefined || expected.text === got) return got;
  throw new UpstreamError('digest', `${answer.url.host}: expected ${expected.text}, got ${got}`);
}

function isPacked(answer: ManifestAnswer): boolean {
  return (answer.headers['content-encoding'] ?? 'identity') !== 'identity';
}

function header(answer: Pick<HttpAnswer, 'headers'>, name: string): string | undefined {
  const value = answer.headers[name];
  return typeof value === 'string' ? value : undefined;
}
