import test from 'ava';
import fc from 'fast-check';
import { backoffMs } from '../../../src/kube/backoff.ts';

test('a pause doubles with each failure and never passes the maximum', (t) => {
  const pauses = [0, 1, 2, 3, 4, 5, 1000].map((failures) =>
    backoffMs(failures, { baseMs: 200, maxMs: 1_500, random: () => 0 }),
  );
  t.deepEqual(pauses, [0, 200, 400, 800, 1_500, 1_500, 1_500]);
});

test('jitter takes away at most half of a pause', (t) => {
  const limits = fc.record({
    failures: fc.integer({ min: 1, max: 5_000 }),
    random: fc.double({ min: 0, max: 0.999, noNaN: true }),
  });
  fc.assert(
    fc.property(limits, fc.integer({ min: 1, max: 10_000 }), ({ failures, random }, baseMs) => {
      const maxMs = baseMs * 100;
      const whole = backoffMs(failures, { baseMs, maxMs, random: () => 0 });
      const pause = backoffMs(failures, { baseMs, maxMs, random: () => random });
      t.true(pause > whole / 2 && pause <= whole && whole <= maxMs);
    }),
  );
});
