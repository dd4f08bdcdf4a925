import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import type { WarmEvent } from '../../../src/cache/warm/warm-event.ts';
import { createDisplay } from '../../../src/cli/warm-display.ts';
import { WarmProgress } from '../../../src/cli/warm-progress.ts';
import { eventually } from '../../support/eventually.ts';

const MiB = 1024 ** 2;
const image = 'nginx:1';
const digest = 'sha256:abc';
const resolved: WarmEvent = {
  event: 'resolved',
  image,
  digest,
  platforms: ['linux/amd64'],
  blobs: 3,
  bytes: 100 * MiB,
};
const done: WarmEvent = { event: 'done', image, digest, blobs: 3, bytes: 100 * MiB, seconds: 4 };

function progress(mib: number): WarmEvent {
  return { event: 'progress', image, bytes: mib * MiB, total: 100 * MiB };
}

function screen(t: ExecutionContext, isTTY: boolean) {
  const written: string[] = [];
  let now = 0;
  const out = { isTTY, columns: 60, rows: 10, write: (text: string) => written.push(text) };
  const display = createDisplay(out, () => now);
  t.teardown(() => display.end());
  const advance = (ms: number) => {
    now += ms;
  };
  return { display, written, advance };
}

test('a row tells share, bytes and the rate of the last seconds', (t) => {
  let now = 0;
  const row = new WarmProgress('hub-0', image, () => now);
  t.is(row.text(), 'manifests');
  row.take(resolved);
  t.is(row.text(), '  0% 0 B of 100 MiB');
  for (const mib of [10, 20, 30]) {
    now += 1000;
    row.take(progress(mib));
  }
  t.is(row.text(), ' 30% 30.0 MiB of 100 MiB, 10.0 MiB/s');
  now += 60_000;
  row.take(progress(30));
  now += 1000;
  t.is(row.text(), ' 30% 30.0 MiB of 100 MiB, 0 B/s');
});

test('a hundred percent is shown for the whole only, and an image without blobs is whole', (t) => {
  const row = new WarmProgress('', image, () => 0);
  row.take(resolved);
  row.take({ event: 'progress', image, bytes: 100 * MiB - 1, total: 100 * MiB });
  t.regex(row.text(), /^ 99% /);
  const empty = new WarmProgress('', image, () => 0);
  empty.take({ ...resolved, bytes: 0 });
  t.regex(empty.text(), /^100% /);
});

test('where there is no terminal there is a line at the start and one at the end, without any escape', (t) => {
  const { display, written } = screen(t, false);
  display.show('hub-0', resolved);
  display.show('hub-0', progress(50));
  display.show('hub-0', done);
  display.note('hub-1', 'not warmed: Pending');
  t.deepEqual(written, [
    'hub-0 nginx:1: sha256:abc for linux/amd64, 3 blobs, 100 MiB\n',
    'hub-0 nginx:1: cached 100 MiB in 4.0 s, 25.0 MiB/s\n',
    'hub-1: not warmed: Pending\n',
  ]);
});

test('on a terminal each image and replica has one line that is drawn anew, and what is done stays above', async (t) => {
  const { display, written, advance } = screen(t, true);
  display.show('hub-0', resolved);
  display.show('hub-1', resolved);
  advance(1000);
  display.show('hub-0', progress(50));
  await eventually(() => assert.match(written.join(''), /hub-0 nginx:1 {3}50% 50.0 MiB of 100 MiB/));
  written.length = 0;
  display.show('hub-0', done);
  const [drawn = ''] = written;
  t.true(drawn.startsWith('\u001b[2A\u001b[Jhub-0 nginx:1: cached 100 MiB'), JSON.stringify(drawn));
  t.regex(drawn, /\nhub-1 nginx:1 {4}0% 0 B of 100 MiB.*\n$/);
  display.show('hub-1', done);
  display.end();
  t.false(written.at(-1)?.includes('%'));
});

test('a live line is never longer than the screen is wide, nor are there more than it is high', async (t) => {
  const { display, written } = screen(t, true);
  for (let replica = 0; replica < 20; replica++)
    display.show(`a-replica-with-a-long-name-${replica}`, resolved);
  await eventually(() => assert(written.length > 0));
  const lines = written.at(-1)!.split('\n');
  t.is(lines.length - 1, 8);
  t.true(lines.every((line) => line.length < 60));
});

test('failures, retries and layers that lie elsewhere are told in a line of their own', (t) => {
  const { display, written } = screen(t, false);
  display.show('', { event: 'failed', image, code: 'digest', message: 'expected a, got b' });
  display.show('', { event: 'retried', image, message: 'the connection broke' });
  display.show('', { event: 'skipped', image, digest, mediaType: 'foreign' });
  t.deepEqual(written, [
    'nginx:1: failed: expected a, got b\n',
    'nginx:1: trying again: the connection broke\n',
    'nginx:1: skipped sha256:abc: foreign is not distributed by registries\n',
  ]);
});

for (const isTTY of [false, true]) {
  test(`what an image or a pod says does not steer ${isTTY ? 'a terminal' : 'what shows a log'}`, (t) => {
    const { display, written, advance } = screen(t, isTTY);
    display.show('', { ...resolved, platforms: ['linux/\u001b]0;x\u0007'] });
    display.show('', { event: 'skipped', image, digest, mediaType: '\u001b[2J.foreign.' });
    display.show('', { event: 'failed', image, code: 'platform', message: 'it has \u009b2J\r' });
    display.note('hub-0', 'one\u001b[2J\ntwo');
    advance(1_000);
    const text = written.join('');
    t.notRegex(text.replaceAll(/\p{Cc}\[\d+A\p{Cc}\[J/gu, ''), /[^\P{Cc}\n]/u);
    t.regex(text, /hub-0: one\?\[2J\ntwo\n/);
  });
}
