/** What is told of objects that had to go; that they go is in test/integration/disk.test.ts. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Evictor } from '../../../../../src/cache/broker/store/evictor.ts';
import { createLogger } from '../../../../../src/observe/log.ts';

const minute = 60_000;
const fileBytes = 8192;
/** Room for so many files. */
const limitFiles = 10;

/** A full folder of one mirror `m`, whose file `n` was last used `n` hours ago, and which was walked through once. */
async function setUp(t: ExecutionContext) {
  const dir = mkdtempSync(join(tmpdir(), 'evictor-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, '0/00'), { recursive: true });
  const clock = { passed: 0 };
  const evictor = new Evictor({
    log: createLogger({ level: 'silent' }),
    signal: new AbortController().signal,
    now: () => Date.now() + clock.passed,
    elapsed: () => clock.passed,
  });
  const pathOf = (hours: number) => join(dir, '0/00', hours.toString(16).padStart(32, '0'));
  const write = (hours: number) => {
    writeFileSync(pathOf(hours), Buffer.alloc(fileBytes));
    const used = new Date(Date.now() - hours * 60 * minute);
    utimesSync(pathOf(hours), used, used);
  };
  for (let hours = 1; hours <= limitFiles; hours += 1) write(hours);
  const bound = (files: number) => evictor.configure([{ name: 'm', dir, limitBytes: files * fileBytes }]);
  bound(limitFiles);
  /** A minute later the folder is walked through. */
  const walk = async () => {
    clock.passed += minute;
    await evictor.look(0, 0);
  };
  await walk();
  return {
    evictor,
    clock,
    write,
    bound,
    walk,
    /** As nginx does: without a word. */
    nginxRemoves: (hours: number) => rmSync(pathOf(hours)),
    left: () => readdirSync(join(dir, '0/00')).length,
    /** For how many hours what had to go had not been used. */
    hours: () => {
      const { youngestSeconds } = evictor.holding('m').evicted;
      return youngestSeconds === undefined ? undefined : Math.floor(youngestSeconds / 3600);
    },
  };
}

test('what nginx removes for room is told by its last use, until it has removed nothing for an hour', async (t) => {
  const { clock, evictor, nginxRemoves, walk, hours } = await setUp(t);
  t.is(hours(), undefined);
  nginxRemoves(10);
  await walk();
  t.is(hours(), 10);
  nginxRemoves(9);
  await walk();
  t.is(hours(), 9);
  // It is not ours to count.
  t.like(evictor.holding('m').evicted, { files: 0, bytes: 0 });
  clock.passed += 59 * minute;
  t.is(hours(), 9);
  clock.passed += minute;
  t.is(hours(), undefined);
});

test('what we remove is told once, and for an hour', async (t) => {
  const { clock, evictor, walk, hours, left } = await setUp(t);
  await evictor.free(2 * fileBytes);
  t.is(hours(), 9);
  await walk();
  t.is(left(), limitFiles - 2);
  clock.passed += 59 * minute;
  t.is(hours(), undefined);
  t.like(evictor.holding('m').evicted, { files: 2, bytes: 2 * fileBytes });
});

test('with a larger bound what had to go under the smaller one is forgotten', async (t) => {
  const { bound, nginxRemoves, walk, hours } = await setUp(t);
  nginxRemoves(10);
  await walk();
  bound(limitFiles);
  t.is(hours(), 10);
  bound(2 * limitFiles);
  t.is(hours(), undefined);
});

test('what goes while there is room went because nobody had asked for it', async (t) => {
  const { bound, nginxRemoves, walk, hours } = await setUp(t);
  bound(2 * limitFiles);
  nginxRemoves(10);
  await walk();
  t.is(hours(), undefined);
});

test('what was purged, or is there again, did not have to go', async (t) => {
  const { evictor, nginxRemoves, write, walk, hours } = await setUp(t);
  evictor.noteDisturbance('m');
  nginxRemoves(1);
  await walk();
  nginxRemoves(2);
  write(2);
  await walk();
  t.is(hours(), undefined);
  const walking = walk();
  nginxRemoves(3);
  evictor.noteDisturbance('m');
  await walking;
  for (const purged of [1, 3]) write(purged);
  await walk();
  t.is(hours(), undefined);
  nginxRemoves(10);
  await walk();
  t.is(hours(), 10);
});
