import type { Readable } from 'node:stream';

/** A line of ours is a few hundred characters; whatever is longer is cut off. */
const defaultLongest = 64 * 1024;

/** The lines of a text stream without their ends; the last one counts without an end, too. */
export async function* outputLines(stream: Readable, longest = defaultLongest): AsyncGenerator<string, void> {
  let rest = '';
  for await (const piece of stream as AsyncIterable<string | Buffer>) {
    const parts = (rest + piece.toString()).split('\n');
    rest = (parts.pop() ?? '').slice(0, longest);
    yield* parts;
  }
  if (rest !== '') yield rest;
}
