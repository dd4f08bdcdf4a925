/** A body whose length nobody told, on its way into the cache. */
import { assumedBytes, type Fill } from './admission.ts';

/** The volume has no room for the rest. */
export class NoRoomError extends Error {}

/** So long a blob that was broken off for want of room is given past the volume. Milliseconds. */
export const overlongMs = 600_000;

/**
 * A body of unknown length takes what was promised and then as much again, for as long as there is room. Throws where there is none: nginx keeps nothing
 * of it then.
 */
export async function* withRoom(
  body: AsyncIterable<Buffer, void>,
  fill: Pick<Fill, 'grows' | 'forgo'>,
): AsyncGenerator<Buffer, void> {
  let left = assumedBytes;
  for await (const piece of body) {
    left -= piece.length;
    if (left < 0) {
      if (!(await fill.grows())) {
        fill.forgo();
        throw new NoRoomError('a body of unknown length is longer than there is room');
      }
      left += assumedBytes;
    }
    yield piece;
  }
}
