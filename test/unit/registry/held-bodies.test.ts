import { Readable } from 'node:stream';
import test from 'ava';
import type { BlobAnswer, BlobRequest } from '../../../src/registry/blob-source.ts';
import { parseDigest } from '../../../src/registry/digest.ts';
import { HeldBodies } from '../../../src/registry/held-bodies.ts';
import { OpenBody } from '../../../src/registry/open-body.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`)!;

test('the body that comes to a byte soonest is taken, once, and only under the same name', async (t) => {
  const held = new HeldBodies();
  const own = request({ authorization: 'Bearer own' });
  for (const position of [10, 30, 20]) held.hold(own, await bodyAt(position));
  t.is(held.take(request({ authorization: 'Bearer other' }), 25), undefined);
  t.is(held.take(request({}), 25), undefined);
  t.is(held.take(own, 25)?.position, 20);
  t.is(held.take(own, 25)?.position, 10);
  t.is(held.take(own, 25), undefined);
  t.is(held.take(own, 30)?.position, 30);
});

test('a body goes on when the one who asked for it goes away, and ends with the next one', async (t) => {
  const held = new HeldBodies();
  const [first, second] = [new AbortController(), new AbortController()];
  let seen: AbortSignal | undefined;
  const body = await OpenBody.open(first.signal, 0, async (signal) => {
    seen = signal;
    return answer();
  });
  held.hold(request({ signal: first.signal }), body);
  first.abort();
  t.is(seen?.aborted, false);
  t.is(held.take(request({ signal: second.signal }), 0), body);
  second.abort(new Error('second'));
  t.is(seen?.reason, second.signal.reason);
});

test('a body that nobody wants is ended after a while', async (t) => {
  const held = new HeldBodies(20);
  const body = await bodyAt(0);
  held.hold(request({}), body);
  // The timer keeps no process running; this does.
  const alive = setTimeout(() => {}, 5_000);
  await new Promise((resolve) => body.answer.body.once('close', resolve));
  clearTimeout(alive);
  t.is(held.take(request({}), 100), undefined);
});

test('of too many bodies the oldest is ended', async (t) => {
  const held = new HeldBodies();
  const bodies = await Promise.all(Array.from({ length: 17 }, (_, index) => bodyAt(index)));
  for (const body of bodies) held.hold(request({}), body);
  t.deepEqual(
    bodies.map(({ answer }) => answer.body.destroyed),
    bodies.map((_, index) => index === 0),
  );
});

function request(changes: Partial<BlobRequest>): BlobRequest {
  return { repository: 'a/b', digest, range: undefined, signal: new AbortController().signal, ...changes };
}

async function bodyAt(position: number): Promise<OpenBody> {
  const body = await OpenBody.open(new AbortController().signal, 0, async () => answer());
  await body.next();
  body.putBack(Buffer.alloc(100 - position));
  return body;
}

/** A whole of 200 bytes. */
function answer(): BlobAnswer {
  const body = Readable.from([Buffer.alloc(100), Buffer.alloc(100)]) as BlobAnswer['body'];
  return { status: 200, headers: {}, body, url: new URL('http://upstream/') };
}
