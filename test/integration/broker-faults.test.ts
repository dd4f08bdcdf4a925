/** Whatever becomes of each of a broker's answers, what a client has got of a blob so far is the beginning of what it asked for. */
import { randomInt } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { digestOf, randomBytes } from '../support/images.ts';
import { mirrorOf, startCache, type TestCache } from '../support/nginx.ts';
import { sendSlice, standInBroker } from '../support/stand-in-broker.ts';

const sliceKiB = 64;
const slices = 6;
const size = (slices - 1) * sliceKiB * 1024 + 12_345;
const blobs = 60;
const clients = 4;

for (const access of ['shared', 'passThrough'] as const)
  test(`${access}: answers that fail, break off and come whole in every order, to several clients at once`, async (t) => {
    const mirror = mirrorOf({ host: '127.0.0.1:9' }, { access });
    const cache = await startCache(t, [mirror], { sliceSizeKiB: sliceKiB });
    const known = new Map<string, Buffer>();
    await standInBroker(t, cache, (request, response) => {
      const digest = request.url?.split('/').at(-1) ?? '';
      void answer(request, response, known.get(digest) ?? Buffer.alloc(0)).catch(() => response.destroy());
    });
    const seen = { whole: 0, broken: 0, refused: 0 };
    const readBlob = async (index: number) => {
      const bytes = randomBytes(`faulty ${access} ${index}`, size);
      const digest = digestOf(bytes);
      known.set(digest, bytes);
      const readers = Array.from({ length: clients }, async () => {
        for (let again = 0; again < 4; again++) seen[await read(t, cache, digest, bytes)]++;
      });
      await Promise.all(readers);
    };
    await Promise.all(Array.from({ length: blobs }, (_, index) => readBlob(index)));
    t.log(seen);
    // Each of them happens: the test would mean nothing otherwise.
    for (const count of Object.values(seen)) t.true(count > 3, JSON.stringify(seen));
  });

async function read(
  t: ExecutionContext,
  cache: TestCache,
  digest: string,
  bytes: Buffer,
): Promise<'whole' | 'broken' | 'refused'> {
  const start = randomInt(2) === 0 ? 0 : randomInt(size);
  const headers = start === 0 ? {} : { range: `bytes=${start}-` };
  const answer = await cache.get(`/v2/library/app/blobs/${digest}`, { headers }).catch(() => undefined);
  if (answer === undefined || answer.status >= 400) return 'refused';
  const { body, complete } = answer;
  t.true(body.equals(bytes.subarray(start, start + body.length)), `from ${start}, ${body.length} bytes`);
  t.is(complete, body.length === size - start);
  return complete ? 'whole' : 'broken';
}

async function answer(request: IncomingMessage, response: ServerResponse, blob: Buffer): Promise<void> {
  const fault = request.headers['x-cut-off'] === undefined ? randomInt(16) : 0;
  if (fault === 0) return fail(response, 502, 0);
  if (fault === 1) return fail(response, 503, randomInt(2));
  if (fault === 2) return fail(response, 404, randomInt(2));
  if (fault === 3) return void response.destroy();
  if (request.url?.includes('/-/authorize/')) return void response.writeHead(204).end();
  await sendSlice(request, response, blob, fault === 4 ? randomInt(sliceKiB * 1024) : undefined);
}

function fail(response: ServerResponse, status: number, seconds: number): void {
  response.writeHead(status, { 'X-Accel-Expires': String(seconds), 'Content-Length': 2 }).end('{}');
}
