import test from 'ava';
import { ApplyLimit } from '../../../../src/operator/registry-mirror/apply-limit.ts';

test('the same is applied to an object ten times a minute, something else and to others at once', (t) => {
  let now = 0;
  const limit = new ApplyLimit(() => now);
  for (let time = 0; time < 10; time += 1) {
    t.true(limit.allows('one', { a: 1 }));
    now += 100;
  }
  t.false(limit.allows('one', { a: 1 }));
  t.true(limit.allows('other', { a: 1 }));
  t.true(limit.allows('one', { a: 2 }));

  for (let time = 0; time < 10; time += 1) limit.allows('one', { a: 1 });
  t.false(limit.allows('one', { a: 1 }));
  now += 59_900;
  t.false(limit.allows('one', { a: 1 }));
  now += 100;
  t.true(limit.allows('one', { a: 1 }));
});
