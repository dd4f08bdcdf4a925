import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { UnusableFile } from '../../../src/node/files.ts';
import { acquireLock } from '../../../src/node/lock.ts';
import { makeSandbox } from './sandbox.ts';

const never = new AbortController().signal;

test('one holder at a time: the second waits for the first, bounded', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  const path = join(box.root, 'lock');
  const release = await acquireLock(path, 10, never);
  await t.throwsAsync(acquireLock(path, 1, never), { message: 'Lock was not free in time' });
  const second = acquireLock(path, 10, never);
  await release();
  await (await second)();
  t.true(fs.existsSync(path));
});

test('a wait ends with its signal, and a held lock does not', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  const path = join(box.root, 'lock');
  const end = new AbortController();
  const release = await acquireLock(path, 10, end.signal);
  const waiting = acquireLock(path, 10, end.signal);
  end.abort();
  await t.throwsAsync(waiting);
  await t.throwsAsync(acquireLock(path, 1, never), { message: 'Lock was not free in time' });
  await release();
});

test('a lock file that cannot be opened is an error that says which and why', async (t) => {
  const path = '/proc/none/lock';
  const error = await t.throwsAsync(acquireLock(path, 1, never), { instanceOf: UnusableFile });
  t.is(error.path, path);
  t.regex(error.message, /No such file or directory/);
});
