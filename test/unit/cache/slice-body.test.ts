import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import { chunkedLength, inChunks } from '../../../src/cache/slice-body.ts';

async function* from(pieces: readonly Buffer[]): AsyncGenerator<Buffer, void> {
  yield* pieces;
}

test('pieces of any sizes are the same bytes in chunks of one size', (t) =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 8 }), async (sizes) => {
      const pieces = sizes.map((size, at) => Buffer.alloc(size, at + 1));
      const chunks: Buffer[] = [];
      for await (const chunk of inChunks(from(pieces))) chunks.push(Buffer.from(chunk));
      t.true(Buffer.concat(chunks).equals(Buffer.concat(pieces)));
      t.true(chunks.slice(0, -1).every(({ length }) => length === 32 * 1024));
    }),
    { numRuns: 50 },
  ));

for (const bytes of [1, 32 * 1024 - 1, 32 * 1024, 256 * 1024, 256 * 1024 + 17]) {
  test(`${bytes} bytes are as long on the wire as is said`, async (t) => {
    const server = createServer(async (_, response) => {
      for await (const chunk of inChunks(from([Buffer.alloc(bytes)])))
        await new Promise((resolve) => response.write(chunk, resolve));
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close());
    const { port } = server.address() as AddressInfo;
    const received = await new Promise<number>((resolve, reject) => {
      const asked = get({ port, host: '127.0.0.1', agent: false }, (response) => {
        const { socket } = response;
        const head = ['HTTP/1.1 200 OK', ...headerLines(response.rawHeaders), '', ''].join('\r\n').length;
        response.on('end', () => resolve(socket.bytesRead - head)).resume();
      });
      asked.on('error', reject);
    });
    t.is(received, chunkedLength(bytes));
  });
}

function headerLines(raw: readonly string[]): string[] {
  return raw.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${raw[at + 1]}`] : []));
}
