/** Answers nginx's misses and revalidations of manifests. */
import type { IncomingHttpHeaders } from 'node:http';
import { parseDigest } from '../../registry/digest.ts';
import type { Manifest, ManifestHead } from '../../registry/manifest.ts';
import { acceptByDigest, acceptFor } from './accept.ts';
import { type Answer, forever, keepFor } from './answer.ts';
import type { Mirror } from './mirror.ts';
import type { Route } from './routes.ts';
import type { ReferenceRequest } from './tag-reader.ts';

export interface ManifestQuestion {
  readonly method: 'GET' | 'HEAD';
  readonly headers: IncomingHttpHeaders;
  /** The client's own, where it is passed through. */
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
}

/** Returns the answer for a manifest by digest or tag; rejects with what the upstream failed with. */
export async function serveManifest(
  mirror: Mirror,
  route: Extract<Route, { kind: 'manifest' }>,
  question: ManifestQuestion,
): Promise<Answer> {
  const { reference } = route;
  const repository = mirror.upstreamRepository(route.repository);
  const { signal, headers, authorization } = question;
  if (parseDigest(reference) !== undefined) {
    const manifest = await mirror.tags.fetch({
      repository,
      reference,
      accept: acceptByDigest,
      authorization,
      signal,
    });
    return manifestAnswer(manifest, keepFor(forever));
  }
  const className = headers['x-registry-accept'];
  const { accept, varies } = acceptFor(typeof className === 'string' ? className : undefined, headers.accept);
  const keep = { ...keepFor(mirror.config.tagTtlSeconds), ...(varies ? { Vary: 'Accept' } : {}) };
  return serveTag(mirror, { repository, reference, accept, authorization, signal }, question, keep);
}

/** One HEAD decides about a copy that nginx has; a HEAD of the client is answered by one as well. */
async function serveTag(
  mirror: Mirror,
  request: ReferenceRequest,
  question: ManifestQuestion,
  keep: Record<string, string>,
): Promise<Answer> {
  const known = parseEtag(question.headers['if-none-match']);
  const wantsHead = question.method === 'HEAD';
  const asks = known !== undefined || wantsHead;
  const now = asks
    ? await (known === undefined ? mirror.tags.head(request) : mirror.tags.check(request))
    : undefined;
  if (now !== undefined && now.digest === known) return notModified(now.digest, keep);
  if (now !== undefined && wantsHead) return headAnswer(now, keep);
  const manifest = await mirror.tags.fetch(request, now?.digest);
  // An upstream without HEAD or digests: its tag may still be the one that nginx has.
  return manifest.digest === known ? notModified(known, keep) : manifestAnswer(manifest, keep);
}

function manifestAnswer({ bytes, digest, mediaType }: Manifest, keep: Record<string, string>): Answer {
  const { headers } = headAnswer({ digest, mediaType, length: bytes.length }, keep);
  return { status: 200, headers, body: bytes };
}

function headAnswer({ digest, mediaType, length }: ManifestHead, keep: Record<string, string>): Answer {
  const headers = {
    'Content-Type': mediaType,
    'Content-Length': String(length),
    'Docker-Content-Digest': digest,
    ETag: `"${digest}"`,
    ...keep,
  };
  return { status: 200, headers, body: '' };
}

function notModified(digest: string, keep: Record<string, string>): Answer {
  return {
    status: 304,
    headers: { 'Docker-Content-Digest': digest, ETag: `"${digest}"`, ...keep },
    body: '',
  };
}

function parseEtag(value: string | undefined): string | undefined {
  return parseDigest(/^(?:W\/)?"([^"]*)"$/.exec(value ?? '')?.[1] ?? '')?.text;
}
