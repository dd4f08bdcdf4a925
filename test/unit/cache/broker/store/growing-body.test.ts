import test from 'ava';
import type { Fill } from '../../../../../src/cache/broker/store/admission.ts';
import { NoRoomError, withRoom } from '../../../../../src/cache/broker/store/growing-body.ts';

const piece = Buffer.alloc(64 * 2 ** 20);

test('a body of unknown length asks again for each 256 MiB more, and ends where there is no room', async (t) => {
  const asked: (number | undefined)[] = [];
  const answers = [true, true, false];
  const keeps = async (bytes: number | undefined) => {
    asked.push(bytes);
    return answers.shift() === true;
  };
  const fill = { keeps, mayBeKept: true, filled: () => {} } satisfies Fill;
  let pieces = 0;
  await t.throwsAsync(
    async () => {
      for await (const _ of withRoom(endless(), fill)) pieces += 1;
    },
    { instanceOf: NoRoomError },
  );
  t.deepEqual(asked, [undefined, undefined, undefined]);
  t.is(pieces * piece.length, 3 * 256 * 2 ** 20);
});

async function* endless(): AsyncGenerator<Buffer, void> {
  for (;;) yield piece;
}
