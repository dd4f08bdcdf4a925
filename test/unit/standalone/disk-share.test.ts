import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import test from 'ava';
import { createLogger } from '../../../src/observe/log.ts';
import { fitToDisk } from '../../../src/standalone/disk-share.ts';

test('caches larger than the file system share four fifths of it as they asked, and that is logged', async (t) => {
  const { blocks, bsize } = await statfs(tmpdir());
  const diskMiB = (blocks * bsize) / 2 ** 20;
  const { sizes, logged } = await fitted([3 * diskMiB, diskMiB, 1]);
  const [large = 0, small = 0, least = 0] = sizes;
  t.true(large + small <= diskMiB * 0.8 && large + small > diskMiB * 0.8 - 3);
  t.true(Math.abs(large - 3 * small) <= 3);
  t.is(least, 1);
  t.is(logged.length, 1);
  t.regex(logged[0] ?? '', /Caches were limited to a share of the disk/);
});

test('caches that fit stay as they are, without a word', async (t) => {
  const { sizes, logged } = await fitted([1, 2]);
  t.deepEqual(sizes, [1, 2]);
  t.deepEqual(logged, []);
});

async function fitted(sizes: readonly number[]): Promise<{ sizes: number[]; logged: string[] }> {
  const logged: string[] = [];
  const log = createLogger({ destination: { write: (line: string) => logged.push(line) } });
  const mirrors = sizes.map((maxSizeMiB, at) => ({ name: `m${at}`, maxSizeMiB }));
  const fit = await fitToDisk(mirrors, tmpdir(), log);
  return { sizes: fit.map(({ maxSizeMiB }) => maxSizeMiB), logged };
}
