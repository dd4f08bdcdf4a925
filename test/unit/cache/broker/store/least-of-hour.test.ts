import test from 'ava';
import fc from 'fast-check';
import { LeastOfHour } from '../../../../../src/cache/broker/store/least-of-hour.ts';

const minute = 60_000;

test('the least of the last hour is told, to the minute', (t) => {
  const steps = fc.array(
    fc.record({ passed: fc.integer({ min: 0, max: 20 * minute }), value: fc.integer({ min: 0, max: 9 }) }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(steps, (noted) => {
      let now = 0;
      const least = new LeastOfHour(() => now);
      const all: { at: number; value: number }[] = [];
      for (const { passed, value } of noted) {
        now += passed;
        least.note(value);
        all.push({ at: now, value });
        const within = (ms: number) =>
          Math.min(...all.filter(({ at }) => at > now - ms).map((each) => each.value));
        const told = least.least() ?? Number.POSITIVE_INFINITY;
        t.true(told >= within(60 * minute) && told <= within(59 * minute));
      }
      now += 60 * minute;
      t.is(least.least(), undefined);
    }),
  );
});

test('many values take no more memory than a few', (t) => {
  let now = 0;
  const least = new LeastOfHour(() => now);
  for (let value = 0; value < 100_000; value += 1) {
    now += 10;
    least.note(value);
  }
  t.is(least.least(), 0);
  t.true(JSON.stringify(least).length < 100);
});
