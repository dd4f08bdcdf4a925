/** Answers nginx's misses of blobs, one slice at a time, as a stream. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { authorizationKey } from '../../registry/authorization-key.ts';
import type { Blob } from '../../registry/blob.ts';
import type { BlobRange, BlobWindow } from '../../registry/blob-range.ts';
import type { BlobRequest, BlobSource } from '../../registry/blob-source.ts';
import { failureMs, forever, keepFor } from './answer.ts';
import type { Mirror } from './mirror.ts';
import type { Route } from './routes.ts';
import type { Fill } from './store/admission.ts';

export interface BlobQuestion {
  readonly range: string | undefined;
  readonly sliceBytes: number;
  /** Another replica asks. */
  readonly fromPeer: boolean;
  /** The client's own, where it is passed through. */
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
  readonly guard?: Guard | undefined;
  readonly fill: Fill;
}

/** Makes sure that a slice sent on `socket` is broken off also when this process dies, until what it returns is called. */
export type Guard = (socket: Socket) => Promise<() => void>;

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
  const keep = await question.fill.keeps(lengthOf(blob.window));
  const release = await guarded(question, response, asPart);
  writeHead(response, blob, digest.text, asPart, keep);
  try {
    if (!first.done) await write(response, first.value, signal);
    for await (const piece of blob.body) await write(response, piece, signal);
    response.end();
    if (blob.fromUpstream()) mirror.status.note(undefined, 'blob');
    if (keep && asPart) question.fill.filled(digest.text, blob.window);
  } catch (error) {
    breakOff(response, asPart);
    throw error;
  } finally {
    release();
  }
}

/** Whole bodies have a length: nginx notices by itself when they end early. */
async function guarded({ guard }: BlobQuestion, { socket }: ServerResponse, asPart: boolean) {
  return asPart && guard !== undefined && socket !== null ? guard(socket) : () => {};
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

/**
 * Ends a body that will not be whole. nginx takes the mere end of a slice's body for the end of the slice, goes on with the next one and so
 * sends the client bytes that are out of place; what is no chunk makes it drop the client at once. A whole body is nobody's slice.
 */
function breakOff(response: ServerResponse, asPart: boolean): void {
  if (asPart && response.socket?.writable) response.socket.end('!\r\n');
  else response.destroy();
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
    // A part has no Content-Length: only a body in chunks can be broken off so that nginx notices.
    ...(asPart || end === undefined ? {} : { 'Content-Length': String(end - start + 1) }),
    ...(asPart ? { 'Content-Range': `bytes ${start}-${end}/${total}` } : { 'Accept-Ranges': 'bytes' }),
    ...keepFor(keep ? forever : 0),
  });
}

/**
 * A chunk of so many bytes, its size before and its newline behind it, is one buffer of the kernel's (32 KiB and a little): the socket
 * takes all of it or nothing, and whatever ends this process, what lies in the socket ends with a whole chunk. Larger ones are cut.
 */
const chunkBytes = 32_640;

/** One chunk after the other: several in one call would be cut anywhere. */
async function write(response: ServerResponse, piece: Buffer, signal: AbortSignal): Promise<void> {
  for (let at = 0; at < piece.length; at += chunkBytes) {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) =>
      response.write(piece.subarray(at, at + chunkBytes), (cause) =>
        cause ? reject(new NotTakenError('a body was not taken', { cause })) : resolve(),
      ),
    );
  }
}

/** Only what nginx's slice module writes; any other range is answered with the whole, as RFC 9110 allows. */
function parseRange(value: string | undefined): BlobRange | undefined {
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(value ?? '');
  if (match === null) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2])];
  return start <= end ? { start, end } : undefined;
}
