import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { formatRecord, isThere, readRecord, recordItself, recordOf } from '../../cluster/process-record.ts';

const folder = mkdtempSync(join(tmpdir(), 'records-'));
test.after.always(() => rmSync(folder, { recursive: true }));

test('a program that recorded itself is that process until it ends', async (t) => {
  const file = join(folder, 'sleep');
  const child = spawn('sh', ['-ec', `${recordItself}; exec cat`], {
    stdio: ['pipe', 'pipe', 'inherit', openSync(file, 'w')],
  });
  child.stdin?.write('x');
  await once(child.stdout!, 'data');
  const record = readRecord(file);
  t.is(record?.pid, child.pid);
  t.deepEqual(record, recordOf(child.pid!));
  t.true(isThere(record!));
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.false(isThere(record!));
  t.is(recordOf(child.pid!), undefined);
});

test('another process with the same id is not the one that was recorded, nor is one of another boot', (t) => {
  const own = recordOf(process.pid)!;
  t.true(isThere(own));
  t.false(isThere({ ...own, start: '1' }));
  t.false(isThere({ ...own, boot: 'another' }));
});

test('a record that is not there, or was not written to its end, is none', (t) => {
  const file = join(folder, 'half');
  const whole = formatRecord(recordOf(process.pid)!);
  writeFileSync(file, whole);
  t.deepEqual(readRecord(file), recordOf(process.pid));
  writeFileSync(file, whole.slice(0, -1));
  t.is(readRecord(file), undefined);
  t.is(readRecord(join(folder, 'nowhere')), undefined);
});

test('what cannot record itself does not run', (t) => {
  const { status, stdout } = spawnSync('sh', ['-ec', `${recordItself}; echo ran`], { encoding: 'utf8' });
  t.not(status, 0);
  t.is(stdout, '');
});
