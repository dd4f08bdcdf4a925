/** Answers nginx's misses of blobs, one slice at a time, as a stream. */
import type { ServerResponse } from 'node:http';
import { authorizationKey } from '../../registry/authorization-key.ts';
import type { Blob } from '../../registry/blob.ts';
import type { BlobRange, BlobWindow } from '../../registry/blob-range.ts';
import type { BlobRequest, BlobSource } from '../../registry/blob-source.ts';
import { inChunks } from '../slice-body.ts';
import { failureMs, forever, keepFor } from './answer.ts';
import type { Mirror } from './mirror.ts';
import type { Route } from './routes.ts';
import type { Fill } from './store/admission.ts';
import { NoRoomError, overlongMs, withRoom } from './store/growing-body.ts';

export interface BlobQuestion {
  readonly range: string | undefined;
  readonly sliceBytes: number;
  /** Another replica asks. */
  readonly fromPeer: boolean;
  /** The client's own, where it is passed through. */
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
  readonly fill: Fill;
}

/** nginx closed the connection in the middle of a body. */
export class NotTakenError extends Error {}

/**
 * Streams a blob or a part of it into `response`. Rejects before the first byte with what the upstream failed with;
 * after it the connection is broken, so that nobody takes a part for the whole. With `NotTakenError` it was broken already.
 */
export async function serveBlob(
  mirror: Mirror,
  route: Extract<Route, { kind: 'blob' }>,
  question: BlobQuestion,
  response: ServerResponse,
): Promise<void> {
  const { authorization, signal } = question;
  const range = parseRange(question.range);
  const repository = mirror.upstreamRepository(route.repository);
  const { digest } = route;
  const owner = question.fromPeer ? undefined : mirror.peers.blobs(route.repository, digest.text);
  const request = { repository, digest, range, authorization, signal };
  const { blob, first } = await begin(mirror, request, owner);
  const asPart = isPart(blob, range, question.sliceBytes);
  const length = lengthOf(blob.window);
  if (mirror.overlong.has(digest.text)) question.fill.forgo();
  const keep = await question.fill.keeps(length);
  writeHead(response, blob, digest.text, asPart, keep);
  try {
    const pieces = startingWith(first, blob.body);
    const sent = keep && length === undefined ? withRoom(pieces, question.fill) : pieces;
    for await (const piece of asPart ? inChunks(sent) : sent) await write(response, piece, signal);
    response.end();
    if (blob.fromUpstream()) mirror.status.note(undefined, 'blob');
    if (keep && asPart) question.fill.filled(digest.text, blob.window);
  } catch (error) {
    response.destroy();
    // Who asks again gets it, past the volume.
    if (error instanceof NoRoomError) mirror.overlong.note(digest.text, error, overlongMs);
    throw error;
  }
}

/**
 * The first piece decides: until it is there, and for a blob of one piece until it is verified, nothing is promised.
 * nginx asks again for a failure, to keep it for the repository alone: it stands for a moment.
 */
async function begin(mirror: Mirror, request: BlobRequest, owner: BlobSource | undefined) {
  const { repository, digest, range, authorization, signal } = request;
  const key = `${repository}@${digest.text} ${range?.start}-${range?.end} ${authorizationKey(authorization)}`;
  mirror.blobFailures.throwKnown(key);
  try {
    const blob = await mirror.blobs.open(request, owner && [owner]);
    return { blob, first: await blob.body.next() };
  } catch (error) {
    if (!signal.aborted) mirror.blobFailures.note(key, error, failureMs(error));
    throw error;
  }
}

/** A body that is whole although a part was asked for is still a part for nginx where it fits into one slice. */
function isPart({ window }: Blob, range: BlobRange | undefined, sliceBytes: number): boolean {
  if (range === undefined || window.total === undefined || window.total === 0) return false;
  return window.start > 0 || window.end !== window.total - 1 || window.total <= sliceBytes;
}

function lengthOf({ start, end }: BlobWindow): number | undefined {
  return end === undefined ? undefined : end - start + 1;
}

function writeHead(
  response: ServerResponse,
  { window }: Blob,
  digest: string,
  asPart: boolean,
  keep: boolean,
): void {
  const { start, end, total } = window;
  response.writeHead(asPart ? 206 : 200, {
    'Content-Type': 'application/octet-stream',
    'Docker-Content-Digest': digest,
    ETag: `"${digest}"`,
    // A part has no Content-Length: nginx knows a whole one by the length of its chunks.
    ...(asPart || end === undefined ? {} : { 'Content-Length': String(end - start + 1) }),
    ...(asPart ? { 'Content-Range': `bytes ${start}-${end}/${total}` } : { 'Accept-Ranges': 'bytes' }),
    ...keepFor(keep ? forever : 0),
  });
  // Promised is promised, however long the first chunk takes.
  response.flushHeaders();
}

async function* startingWith(
  first: IteratorResult<Buffer, void>,
  rest: AsyncGenerator<Buffer, void>,
): AsyncGenerator<Buffer, void> {
  if (first.done) return;
  yield first.value;
  yield* rest;
}

/** One at a time, as nginx takes them. */
async function write(response: ServerResponse, piece: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) =>
    response.write(piece, (cause) =>
      cause ? reject(new NotTakenError('a body was not taken', { cause })) : resolve(),
    ),
  );
}

/** Only what nginx's slice module writes; any other range is answered with the whole, as RFC 9110 allows. */
function parseRange(value: string | undefined): BlobRange | undefined {
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(value ?? '');
  if (match === null) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2])];
  return start <= end ? { start, end } : undefined;
}
