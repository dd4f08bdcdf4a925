/** Reading whole small bodies, and getting rid of unwanted ones. */
import type { HttpAnswer } from './transport.ts';
import { toUpstreamError, UpstreamError } from './upstream-error.ts';

/** Returns the whole body; throws `UpstreamError` when it is longer than `limit` bytes or ends early. */
export async function readBody(body: HttpAnswer['body'], limit: number, host: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of body) {
      length += piece.length;
      if (length > limit)
        throw new UpstreamError('answer', `${host}: expected at most ${limit} bytes, got more`);
      pieces.push(piece);
    }
  } catch (error) {
    throw toUpstreamError(error, host);
  }
  return Buffer.concat(pieces, length);
}

/** A connection is not worth waiting longer for. Milliseconds. */
const discardMs = 500;

/** Ends a body nobody wants; a short one is read so that its connection can be used again. Never throws. */
export async function discard(answer: HttpAnswer): Promise<void> {
  await answer.body.dump({ limit: 16 * 1024, signal: AbortSignal.timeout(discardMs) }).catch(() => {});
}
