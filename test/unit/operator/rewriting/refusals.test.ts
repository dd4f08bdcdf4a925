import test from 'ava';
import { ApiError, ConnectionError } from '../../../../src/kube/errors.ts';
import { Refusals } from '../../../../src/operator/rewriting/refusals.ts';

/** Works on three items, of which the second fails. */
async function over(error: Error) {
  const [refusals, done] = [new Refusals(), [] as number[]];
  const worked = refusals.over([1, 2, 3], async (item) => {
    if (item === 2) throw error;
    done.push(item);
  });
  const thrown = await worked.catch((reason: unknown) => reason);
  return { refusals, done, thrown };
}

for (const status of [403, 422])
  test(`what is refused with ${status} keeps nothing else waiting, and is thrown at the end`, async (t) => {
    const error = new ApiError('PATCH x', status);
    const { refusals, done, thrown } = await over(error);
    t.deepEqual(done, [1, 3]);
    t.is(thrown, undefined);
    t.is(
      t.throws(() => refusals.throwIfAny()),
      error,
    );
  });

for (const error of [new ApiError('PATCH x', 429), new ConnectionError('PATCH x', 'reset')])
  test(`what others would meet as well is thrown at once: ${error.message}`, async (t) => {
    const { refusals, done, thrown } = await over(error);
    t.deepEqual(done, [1]);
    t.is(thrown, error);
    t.notThrows(() => refusals.throwIfAny());
  });
