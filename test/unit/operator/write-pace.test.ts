import test from 'ava';
import { WritePace } from '../../../src/operator/write-pace.ts';

function pace(most?: number) {
  let now = 0;
  const made = new WritePace({ ...(most !== undefined && { most }), now: () => now });
  return {
    pace: made,
    after: (ms: number) => {
      now += ms;
    },
  };
}

test('the same is written to an object once a minute, something else and to others at once', (t) => {
  const { pace: once, after } = pace();
  t.is(once.waitMs('one', 'a'), 0);
  once.wrote('one', 'a');
  after(1_000);
  t.is(once.waitMs('one', 'a'), 59_000);
  t.is(once.waitMs('one', 'b'), 0);
  t.is(once.waitMs('other', 'a'), 0);
  after(59_000);
  t.is(once.waitMs('one', 'a'), 0);
});

test('of several in a minute the oldest says when there may be one more', (t) => {
  const { pace: thrice, after } = pace(3);
  for (let time = 0; time < 3; time += 1) {
    t.is(thrice.waitMs('one', 'a'), 0);
    thrice.wrote('one', 'a');
    after(10_000);
  }
  t.is(thrice.waitMs('one', 'a'), 30_000);
  after(30_000);
  t.is(thrice.waitMs('one', 'a'), 0);
  thrice.wrote('one', 'a');
  t.is(thrice.waitMs('one', 'a'), 10_000);
});

test('what holds nothing up any more is forgotten', (t) => {
  const { pace: twice, after } = pace(2);
  for (const uid of ['one', 'two']) {
    twice.wrote(uid, 'a');
    after(30_000);
  }
  twice.prune();
  twice.wrote('one', 'a');
  t.is(twice.waitMs('one', 'a'), 0, 'one write, not two');
  twice.wrote('two', 'a');
  t.true(twice.waitMs('two', 'a') > 0);
});
