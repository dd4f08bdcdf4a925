import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { floorOf, highMark, isFault, lookAt, probe } from '../../../../../src/cache/broker/store/volume.ts';

const gib = 2 ** 30;

for (const [claim, floorMiB] of [
  [gib, 64],
  [20 * gib, 1024],
  [100 * gib, 2048],
  [10 * 1024 * gib, 2048],
] as const) {
  test(`of ${claim / gib} GiB, ${floorMiB} MiB stay free, and nginx's bound leaves more`, (t) => {
    t.is(floorOf(claim) / 2 ** 20, floorMiB);
    t.true(claim - highMark(claim) >= 0.8 * claim);
  });
}

test('a volume is looked at where its folder will be, and written to there', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'volume-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const found = await lookAt(join(dir, 'not', 'yet'));
  t.false(isFault(found));
  t.is(await probe(join(dir, 'state')), undefined);
  t.deepEqual(readdirSync(join(dir, 'state')), []);
});

test('a folder that cannot be written to is a fault with its reason', async (t) => {
  t.like(await probe('/proc/self'), { reason: 'IoError' });
});
