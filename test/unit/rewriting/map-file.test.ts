/** Real files, exchanged as kubelet exchanges those of a ConfigMap. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createLogger } from '../../../src/observe/log.ts';
import { MapFile } from '../../../src/rewriting/map-file.ts';
import { eventually } from '../../support/eventually.ts';

test('a file is read, and told again only when it has other content', async (t) => {
  const { put, told, start, looked } = await setUp(t);
  await put('one');
  const map = start();
  t.false(map.read);
  await eventually(() => assert.deepEqual(told, ['one']));
  t.true(map.read);
  await looked();
  await put('one');
  await looked();
  t.deepEqual(told, ['one']);
  await put('');
  await eventually(() => assert.deepEqual(told, ['one', '']));
});

test('a file of a mounted ConfigMap is followed through the exchange of its links', async (t) => {
  const { folder, file, told, start } = await setUp(t);
  const publish = async (version: string) => {
    await mkdir(join(folder, version));
    await writeFile(join(folder, version, 'maps.conf'), version);
    await symlink(version, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  };
  await publish('..1');
  await symlink('..data/maps.conf', file);
  start();
  await eventually(() => assert.deepEqual(told, ['..1']));
  await publish('..2');
  await rm(join(folder, '..1'), { recursive: true });
  await eventually(() => assert.equal(told.at(-1), '..2'));
  t.deepEqual(told, ['..1', '..2'], 'the rules are there in between');
});

test('a missing file has no rules, is said once and awaited', async (t) => {
  const { file, put, told, log, start, looked } = await setUp(t);
  const map = start();
  await eventually(() => assert.equal(map.read, true));
  await looked();
  t.deepEqual(told, []);
  t.is(log.filter((line) => line.includes('The imageswap map is missing')).length, 1);
  await put('one');
  await eventually(() => assert.deepEqual(told, ['one']));
  await rm(file);
  await eventually(() => assert.deepEqual(told, ['one', undefined]));
});

test('a file that cannot be read leaves the rules that were read, and is said once', async (t) => {
  const { file, put, told, log, start, looked } = await setUp(t);
  await put('one');
  start();
  await eventually(() => assert.deepEqual(told, ['one']));
  // Whoever runs this may read every file; nobody can read a folder.
  await symlink('.', `${file}.link`);
  await rename(`${file}.link`, file);
  await eventually(() => assert.equal(errors(log).length, 1));
  await looked();
  t.is(errors(log).length, 1);
  t.deepEqual(told, ['one']);
  await put('two');
  await eventually(() => assert.deepEqual(told, ['one', 'two']));
});

test('rules wait for a file that cannot be read from the start', async (t) => {
  const { file, put, told, log, start, looked } = await setUp(t);
  await mkdir(file);
  const map = start();
  await eventually(() => assert.equal(errors(log).length, 1));
  await looked();
  t.false(map.read);
  t.deepEqual(told, []);
  await rm(file, { recursive: true });
  await put('one');
  await eventually(() => assert.deepEqual(told, ['one']));
  t.true(map.read);
});

test('its end is prompt while it waits for the next look', async (t) => {
  const { put, told, start, stop } = await setUp(t, 600_000);
  await put('one');
  start();
  await eventually(() => assert.deepEqual(told, ['one']));
  await stop();
  t.pass();
});

function errors(log: readonly string[]): string[] {
  return log.filter((line) => line.includes('Could not read the imageswap map'));
}

async function setUp(t: ExecutionContext, everyMs = 10) {
  const folder = await mkdtemp(join(tmpdir(), 'map-file-'));
  const file = join(folder, 'maps.conf');
  const told: (string | undefined)[] = [];
  const log: string[] = [];
  const logger = createLogger({ destination: { write: (line: string) => void log.push(line) } });
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  const stop = async () => {
    stopping.abort();
    await running;
  };
  t.teardown(async () => {
    await stop();
    await rm(folder, { recursive: true });
  });
  const start = () => {
    const map = new MapFile({ file, changed: (text) => told.push(text), logger, everyMs });
    running = map.run(stopping.signal);
    return map;
  };
  /** Exchanges the file for one with other content: what only truncates it could be read in between. */
  const put = async (text: string) => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  /** Long enough for several looks. */
  const looked = () => new Promise((resolve) => setTimeout(resolve, 20 * everyMs));
  return { folder, file, put, told, log, start, stop, looked };
}
