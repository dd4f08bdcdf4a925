/** What a tag is by the word of the replica that owns it: one answer for all replicas, and the end of its life with it. */
import type { BlobAnswer } from '../../../registry/blob-source.ts';
import { readManifest, statedHead } from '../../../registry/manifest.ts';
import { discard } from '../../../registry/read-body.ts';
import { UpstreamError } from '../../../registry/upstream-error.ts';
import { stateOf, type TagQuestion, type TagState } from '../tag-state.ts';
import type { MirrorPeer } from './mirror-peers.ts';
import { isOfUpstream, refreshHeader, validUntilOf } from './told.ts';

/** What an owner keeps although it could not ask is taken for this long. Milliseconds. */
const staleMs = 2_000;

/**
 * Asks the owner's nginx, which serves what it has or has its broker find out. Of a copy that was revalidated nginx tells
 * only the end of its first life: then the owner's broker is asked when it ends now. Rejects as `MirrorPeer.ask`.
 */
export async function askOwner(owner: MirrorPeer, question: TagQuestion): Promise<TagState> {
  const kept = await ask(owner, question, { method: question.wantsBody ? 'GET' : 'HEAD' });
  if (kept.isStale || kept.validUntil > Date.now()) return kept;
  // Without an answer nobody can say how long it may be kept: it is passed on as it is, and asked for again.
  const fresh = await ask(owner, question, { method: 'HEAD', pastNginx: true }).catch(() => kept);
  if (fresh.digest === kept.digest) return { ...kept, validUntil: fresh.validUntil };
  return question.wantsBody ? ask(owner, question, { method: 'GET', pastNginx: true }) : fresh;
}

interface Way {
  readonly method: 'GET' | 'HEAD';
  /** To the owner's broker, whatever its nginx has kept. */
  readonly pastNginx?: boolean;
}

async function ask(owner: MirrorPeer, question: TagQuestion, way: Way): Promise<TagState> {
  const { name, reference, signal } = question;
  const { method } = way;
  const path = `manifests/${reference}`;
  const answer = await owner.ask({
    method,
    repository: name,
    path,
    headers: headersOf(question, way),
    signal,
  });
  const receivedAt = Date.now();
  if (!isOfUpstream(answer.headers, owner.identity)) {
    await discard(answer);
    throw new UpstreamError('answer', `${owner.name}: answered for another upstream`);
  }
  const isStale = answer.headers['x-cache-status'] === 'STALE';
  const validUntil = isStale ? receivedAt + staleMs : (validUntilOf(answer.headers, receivedAt) ?? 0);
  return { ...(await read(owner, question, method, answer)), validUntil, isStale };
}

function headersOf(
  { accept, known, authorization }: TagQuestion,
  { pastNginx }: Way,
): Record<string, string> {
  return {
    accept,
    ...(known !== undefined && { 'if-none-match': `"${known}"` }),
    ...(authorization !== undefined && { authorization }),
    ...(pastNginx && { [refreshHeader]: '1' }),
  };
}

async function read(
  owner: MirrorPeer,
  { known, reference }: TagQuestion,
  method: Way['method'],
  answer: BlobAnswer,
): Promise<TagState> {
  if (answer.status === 200 && method === 'GET') {
    const manifest = await readManifest(answer, reference);
    owner.counters.bytes += manifest.bytes.length;
    return stateOf(manifest, 0);
  }
  await discard(answer);
  const head = answer.status === 200 ? statedHead(answer) : undefined;
  const digest = answer.status === 304 ? known : head?.digest;
  if (digest === undefined) throw new UpstreamError('answer', `${owner.name}: expected a digest, got none`);
  return { digest, head, validUntil: 0 };
}
