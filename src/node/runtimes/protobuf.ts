/** As much of the protocol buffers' encoding as the answers of runtimes need. Pure. */

/** Wire types (protobuf.dev, "Encoding"). */
const [varint, fixed64, delimited, fixed32] = [0, 1, 2, 5];

/** Returns the last field of that number that is a string; undefined where there is none. Throws a `RangeError` on what is no message. */
export function textField(message: Buffer, number: number): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < message.length; ) {
    const tag = readVarint(message, at);
    const type = tag.value & 7;
    const content = tag.end + (type === delimited ? readVarint(message, tag.end).length : 0);
    const end = endOf(message, type, tag.end);
    if (end > message.length) throw new RangeError('A field ends after its message');
    if (type === delimited && tag.value >>> 3 === number) found = message.toString('utf8', content, end);
    at = end;
  }
  return found;
}

function endOf(message: Buffer, type: number, start: number): number {
  if (type === varint) return readVarint(message, start).end;
  if (type === fixed64) return start + 8;
  if (type === fixed32) return start + 4;
  if (type !== delimited) throw new RangeError(`Unknown wire type ${type}`);
  const { value, end } = readVarint(message, start);
  return end + value;
}

/** At most five bytes: nothing here is longer than 32 bits. */
function readVarint(message: Buffer, start: number): { value: number; length: number; end: number } {
  let value = 0;
  for (let length = 1; length <= 10; length += 1) {
    const byte = message.readUInt8(start + length - 1);
    // Bits above the 32nd are of numbers that are passed over.
    if (length <= 4) value += (byte & 0x7f) * 2 ** (7 * (length - 1));
    else if (length === 5) value += (byte & 0x0f) * 2 ** 28;
    if (byte < 0x80) return { value, length, end: start + length };
  }
  throw new RangeError('A number of more than ten bytes');
}
