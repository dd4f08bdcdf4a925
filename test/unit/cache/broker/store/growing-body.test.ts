import test from 'ava';
import { FailureMemory } from '../../../../../src/cache/broker/failure-memory.ts';
import { NoRoomError, overlongMs, withRoom } from '../../../../../src/cache/broker/store/growing-body.ts';

const piece = Buffer.alloc(64 * 2 ** 20);

test('a body of unknown length asks again for each 256 MiB more, and ends where there is no room', async (t) => {
  const answers = [true, true, false];
  let forgone = 0;
  const fill = {
    grows: async () => answers.shift() === true,
    forgo: () => {
      forgone += 1;
    },
  };
  let pieces = 0;
  await t.throwsAsync(
    async () => {
      for await (const _ of withRoom(endless(), fill)) pieces += 1;
    },
    { instanceOf: NoRoomError },
  );
  t.deepEqual(answers, []);
  t.is(pieces * piece.length, 3 * 256 * 2 ** 20);
  t.is(forgone, 1);
});

test('what was broken off is remembered for ten minutes', (t) => {
  let now = 0;
  const overlong = new FailureMemory(() => now);
  t.false(overlong.has('sha256:a'));
  overlong.note('sha256:a', new NoRoomError(), overlongMs);
  now = 599_000;
  t.true(overlong.has('sha256:a'));
  now = 600_000;
  t.false(overlong.has('sha256:a'));
});

async function* endless(): AsyncGenerator<Buffer, void> {
  for (;;) yield piece;
}
