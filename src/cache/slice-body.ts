/**
 * How the broker sends a slice to nginx: in chunks of one size, so that nginx knows from the length as it came whether the slice is whole. That
 * of a body with a stated length it does not see either: an end too early is no failure of a later slice (docs/adr/0016-broker-processes.md).
 */

const chunkBytes = 32 * 1024;
/** `0`, and two line ends. */
const lastChunkBytes = 5;

/** The length of `bytes` in chunks, as RFC 9112 section 7.1 has them, without extensions and trailers. */
export function chunkedLength(bytes: number): number {
  const rest = bytes % chunkBytes;
  const whole = (bytes - rest) / chunkBytes;
  return whole * framed(chunkBytes) + (rest === 0 ? 0 : framed(rest)) + lastChunkBytes;
}

/** The same bytes in pieces that are one chunk each. */
export async function* inChunks(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const piece of pieces) {
    held.push(piece);
    size += piece.length;
    if (size < chunkBytes) continue;
    const all = held.length === 1 ? piece : Buffer.concat(held);
    const rest = size % chunkBytes;
    for (let at = 0; at < size - rest; at += chunkBytes) yield all.subarray(at, at + chunkBytes);
    held = rest === 0 ? [] : [all.subarray(size - rest)];
    size = rest;
  }
  if (size > 0) yield Buffer.concat(held);
}

function framed(bytes: number): number {
  return bytes + bytes.toString(16).length + 4;
}
