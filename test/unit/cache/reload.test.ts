import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fingerprint, followFiles } from '../../../src/cache/reload.ts';
import { eventually } from '../../support/eventually.ts';

test('a change of content, of a symlink, and a file that comes or goes are each told once', async (t) => {
  const { dir, calls } = await follow(t, ['one', 'link', 'late']);
  const change = async (what: () => void) => {
    const before = calls();
    what();
    await eventually(() => assert.equal(calls(), before + 1));
  };
  await change(() => writeFileSync(join(dir, 'one'), 'two'));
  await change(() => {
    writeFileSync(join(dir, 'other'), 'x');
    unlinkSync(join(dir, 'link'));
    symlinkSync(join(dir, 'other'), join(dir, 'link'));
  });
  await change(() => writeFileSync(join(dir, 'late'), 'here'));
  await change(() => unlinkSync(join(dir, 'late')));
  t.is(calls(), 4);
});

test('a file that was changed before it is followed is told too', async (t) => {
  const { calls } = await follow(t, ['one'], 'the fingerprint of other content');
  await eventually(() => assert.equal(calls(), 1));
  t.pass();
});

test('content that moves from one file to the next is a change', async (t) => {
  const { dir } = await follow(t, []);
  writeFileSync(join(dir, 'a'), 'xy');
  writeFileSync(join(dir, 'b'), '');
  const before = await fingerprint([join(dir, 'a'), join(dir, 'b')]);
  writeFileSync(join(dir, 'a'), 'x');
  writeFileSync(join(dir, 'b'), 'y');
  t.not(await fingerprint([join(dir, 'a'), join(dir, 'b')]), before);
});

async function follow(t: ExecutionContext, names: readonly string[], current?: string) {
  const dir = mkdtempSync(join(tmpdir(), 'follow-'));
  writeFileSync(join(dir, 'one'), 'one');
  symlinkSync(join(dir, 'one'), join(dir, 'link'));
  const files = names.map((name) => join(dir, name));
  const stop = new AbortController();
  let count = 0;
  const onChange = async () => {
    count += 1;
  };
  const inForce = current ?? (await fingerprint(files));
  const done = followFiles({ files, current: inForce, onChange, intervalMs: 5, signal: stop.signal });
  t.teardown(async () => {
    stop.abort();
    await done;
    rmSync(dir, { recursive: true });
  });
  return { dir, calls: () => count };
}
