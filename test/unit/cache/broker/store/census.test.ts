import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { takeCensus } from '../../../../../src/cache/broker/store/census.ts';

test('what nginx is writing counts, and what an nginx that is no more was writing is removed', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'census-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const folder = join(dir, '0/00');
  mkdirSync(folder, { recursive: true });
  const hash = '0'.repeat(32);
  const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);
  const files = { [hash]: 500, [`${hash}.0000000001`]: 44, [`${hash}.0000000002`]: 46, other: 500 };
  for (const [name, minutes] of Object.entries(files)) {
    writeFileSync(join(folder, name), Buffer.alloc(8192));
    utimesSync(join(folder, name), minutesAgo(minutes), minutesAgo(minutes));
  }
  const { signal } = new AbortController();
  const { bytes, files: count, oldest } = await takeCensus(dir, signal);
  t.deepEqual(readdirSync(folder).sort(), [hash, `${hash}.0000000001`, 'other']);
  t.is(count, 1);
  t.is(bytes, 2 * 8192);
  t.deepEqual(
    oldest.map(({ path }) => path),
    [join(folder, hash)],
  );
});

test('the sample has the same files in each walk, whenever they were used', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'census-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, '0/00'), { recursive: true });
  const paths = Array.from({ length: 9 }, (_, index) => join(dir, '0/00', `${index}`.padStart(32, '0')));
  for (const path of paths) writeFileSync(path, '');
  const { signal } = new AbortController();
  const sampled = async () => (await takeCensus(dir, signal, 3)).sample.map(({ path }) => path);
  t.deepEqual(await sampled(), paths.slice(0, 3));
  for (const [index, path] of paths.entries()) utimesSync(path, index % 2, index % 2);
  t.deepEqual(await sampled(), paths.slice(0, 3));
  rmSync(paths[1]!);
  t.deepEqual(await sampled(), [paths[0], paths[2], paths[3]]);
});
