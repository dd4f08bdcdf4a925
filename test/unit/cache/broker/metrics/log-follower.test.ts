import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { LogFollower } from '../../../../../src/cache/broker/metrics/log-follower.ts';
import { createLogger } from '../../../../../src/observe/log.ts';

function setUp(t: ExecutionContext) {
  const dir = mkdtempSync(join(tmpdir(), 'request-log-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const [file, pidFile] = [join(dir, 'requests.log'), join(dir, 'nginx.pid')];
  const logged: string[] = [];
  const log = createLogger({ destination: { write: (line) => void logged.push(line) } });
  const follow = () => {
    const lines: string[] = [];
    const follower = new LogFollower({ file, pidFile, log, limit: 100, onLine: (line) => lines.push(line) });
    const poll = async () => {
      await follower.poll();
      return lines.splice(0);
    };
    return poll;
  };
  /** What stands for nginx: counts SIGUSR1 and opens the log as nginx does. */
  const startNginx = async () => {
    const script = 'trap \': >> "$0"; echo opened\' USR1; echo ready; while :; do sleep 0.05; done';
    const nginx = spawn('sh', ['-c', script, file], { stdio: ['ignore', 'pipe', 'ignore'] });
    t.teardown(() => nginx.kill('SIGKILL'));
    await once(nginx.stdout, 'data');
    writeFileSync(pidFile, `${nginx.pid}\n`);
    return { opened: () => once(nginx.stdout, 'data') };
  };
  return { file, pidFile, follow, logged, startNginx };
}

test('lines are handed on once they are whole, from a log that is not there at first', async (t) => {
  const { file, follow } = setUp(t);
  const poll = follow();
  t.deepEqual(await poll(), []);
  appendFileSync(file, 'one\ntw');
  t.deepEqual(await poll(), ['one']);
  appendFileSync(file, 'o\nthree\n');
  t.deepEqual(await poll(), ['two', 'three']);
  t.deepEqual(await poll(), []);
});

test('what was written before the start is not counted a second time', async (t) => {
  const { file, follow } = setUp(t);
  writeFileSync(file, 'old\n');
  const poll = follow();
  t.deepEqual(await poll(), []);
  appendFileSync(file, 'new\n');
  t.deepEqual(await poll(), ['new']);
});

test('a log that was emptied or replaced is read from its start', async (t) => {
  const { file, follow } = setUp(t);
  const poll = follow();
  await poll();
  writeFileSync(file, 'one\ntwo\n');
  t.deepEqual(await poll(), ['one', 'two']);
  truncateSync(file);
  appendFileSync(file, '3\n');
  t.deepEqual(await poll(), ['3']);
  writeFileSync(`${file}.other`, 'of another file\n');
  renameSync(`${file}.other`, file);
  t.deepEqual(await poll(), ['of another file']);
});

test('a large log is put aside, and what nginx still writes there is read', async (t) => {
  const { file, follow, startNginx } = setUp(t);
  const nginx = await startNginx();
  const poll = follow();
  await poll();
  const opened = nginx.opened();
  writeFileSync(file, `${'x'.repeat(200)}\n`);
  t.is((await poll()).length, 1);
  await opened;
  appendFileSync(`${file}.1`, 'late\n');
  appendFileSync(file, 'new\n');
  t.deepEqual(await poll(), ['late']);
  t.true(existsSync(`${file}.1`));
  t.deepEqual(await poll(), []);
  t.false(existsSync(`${file}.1`));
  t.deepEqual(await poll(), ['new']);
});

test('a broker that died between renaming the log and telling nginx is made up for by the next', async (t) => {
  const { file, follow, startNginx } = setUp(t);
  const nginx = await startNginx();
  writeFileSync(`${file}.1`, 'counted before\n');
  const opened = nginx.opened();
  const poll = follow();
  t.deepEqual(await poll(), []);
  appendFileSync(`${file}.1`, 'late\n');
  await opened;
  appendFileSync(file, 'new\n');
  t.deepEqual(await poll(), ['late']);
  t.deepEqual(await poll(), []);
  t.deepEqual(await poll(), ['new']);
  t.false(existsSync(`${file}.1`));
});

test('without nginx a large log stays, its lines are read, and the fault is told once', async (t) => {
  const { file, pidFile, follow, logged } = setUp(t);
  const poll = follow();
  await poll();
  writeFileSync(file, `${'x'.repeat(200)}\n`);
  t.is((await poll()).length, 1);
  t.is(logged.length, 0);
  const dead = spawn('true');
  await once(dead, 'exit');
  writeFileSync(pidFile, `${dead.pid}\n`);
  await poll();
  appendFileSync(file, 'more\n');
  t.deepEqual(await poll(), ['more']);
  t.is(logged.length, 1);
  t.false(existsSync(`${file}.1`));
});
