import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { mirrorOf, sliceBytes, startBroker } from '../../../support/broker.ts';
import type { Faults } from '../../../support/scriptable-faults.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

const faults: fc.Arbitrary<Faults> = fc.record(
  {
    breakAfter: fc.integer({ min: 0, max: 1_200_000 }),
    breaks: fc.integer({ min: 0, max: 6 }),
    noRange: fc.boolean(),
    noLength: fc.boolean(),
    corrupt: fc.boolean(),
    shiftRange: fc.constantFrom(0, 0, 0, 1, -1),
    total: fc.constantFrom(undefined as never, undefined as never, 5),
    status: fc.constantFrom(undefined as never, undefined as never, undefined as never, 404, 403, 429),
    portal: fc.constantFrom(false, false, false, true),
  },
  { requiredKeys: [] },
);

test('whatever the upstream does, a slice is exact or no whole answer; only wrong bytes of a part are the upstream’s own', async (t) => {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const mirror = mirrorOf(`http://${upstream.host}`);
  const broker = await startBroker(t, [mirror]);
  const plan = fc.record({
    size: fc.integer({ min: 0, max: 2_500_000 }),
    slice: fc.integer({ min: 0, max: 2 }),
    own: faults,
    cdn: faults,
    redirected: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(plan, async ({ size, slice, own, cdn, redirected }) => {
      const blob = randomBytes(size);
      const digest = upstream.addBlob(blob);
      upstream.redirect = { blobs: redirected };
      Object.assign(upstream, { faults: redirected ? {} : { ...own }, cdnFaults: { ...cdn } });
      const used = redirected ? cdn : own;
      const range = `bytes=${slice * sliceBytes}-${(slice + 1) * sliceBytes - 1}`;
      const answer = await broker.get(`/m/v2/a/b/blobs/${digest}`, { range }).catch(() => undefined);
      if (answer === undefined || answer.status >= 400) return;
      const { status, headers, body } = answer;
      const [, start = 0, end = blob.length - 1, total = blob.length] =
        /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '')?.map(Number) ?? [];
      t.is(total, blob.length);
      t.is(body.length, end - start + 1);
      t.is(status, headers['content-range'] === undefined ? 200 : 206);
      const isPart = body.length < blob.length;
      // Of a part nobody can know the digest: it is the client, and the scrub, that find out.
      if (!(isPart && used.corrupt)) t.true(body.equals(blob.subarray(start, end + 1)));
    }),
    { numRuns: 60 },
  );
});
