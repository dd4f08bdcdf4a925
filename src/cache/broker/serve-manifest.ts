/** Answers nginx's misses and revalidations of manifests. */
import type { IncomingHttpHeaders } from 'node:http';
import { parseDigest } from '../../registry/digest.ts';
import type { Manifest } from '../../registry/manifest.ts';
import { acceptByDigest, acceptFor } from './accept.ts';
import { type Answer, forever, keepFor } from './answer.ts';
import { manifestAnswer } from './manifest-answer.ts';
import type { Mirror } from './mirror.ts';
import { isLastWord } from './peers/mirror-peers.ts';
import type { Route } from './routes.ts';
import { serveTag } from './serve-tag.ts';
import { headOf } from './tag-state.ts';

export interface ManifestQuestion {
  readonly method: 'GET' | 'HEAD';
  readonly headers: IncomingHttpHeaders;
  /** Another replica asks. */
  readonly fromPeer: boolean;
  /** The client's own, where it is passed through. */
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
}

type ManifestRoute = Extract<Route, { kind: 'manifest' }>;

/** Returns the answer for a manifest by digest or tag; rejects with what the upstream failed with. */
export async function serveManifest(
  mirror: Mirror,
  route: ManifestRoute,
  question: ManifestQuestion,
): Promise<Answer> {
  const { reference, repository: name } = route;
  if (parseDigest(reference) !== undefined) {
    const manifest = await manifestByDigest(mirror, route, question);
    return manifestAnswer(headOf(manifest), keepFor(forever), manifest.bytes);
  }
  const { headers, method, ...asker } = question;
  const className = headers['x-registry-accept'];
  const { accept, varies } = acceptFor(typeof className === 'string' ? className : undefined, headers.accept);
  const known = parseEtag(headers['if-none-match']);
  const answer = await serveTag(mirror, {
    ...asker,
    repository: mirror.upstreamRepository(name),
    name,
    reference,
    accept,
    known,
    isHurried: known !== undefined,
    wantsBody: method === 'GET',
  });
  return varies ? { ...answer, headers: { ...answer.headers, Vary: 'Accept' } } : answer;
}

/** The owner is asked first; whatever it has is checked against the digest. */
async function manifestByDigest(
  mirror: Mirror,
  { repository: name, reference }: ManifestRoute,
  { fromPeer, authorization, signal }: ManifestQuestion,
): Promise<Manifest> {
  const repository = mirror.upstreamRepository(name);
  const request = { repository, reference, accept: acceptByDigest, authorization, signal };
  const owner = fromPeer ? undefined : mirror.peers.ownerOfManifest(name, reference);
  if (owner === undefined) return (await mirror.tags.fetch(request)).value;
  const headers = { accept: acceptByDigest, ...(authorization !== undefined && { authorization }) };
  return mirror.tags.fetchNear(request, (limit) => {
    const asked = { repository: name, path: `manifests/${reference}`, headers, signal: limit };
    return owner.manifest({ ...asked, method: 'GET' }, reference).catch((error: unknown) => {
      if (isLastWord(error) || limit.aborted) throw error;
      return undefined;
    });
  });
}

function parseEtag(value: string | undefined): string | undefined {
  return parseDigest(/^(?:W\/)?"([^"]*)"$/.exec(value ?? '')?.[1] ?? '')?.text;
}
