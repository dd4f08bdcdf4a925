import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createLogger } from '../../../src/observe/log.ts';
import { keepAccessLogSmall } from '../../../src/standalone/access-log.ts';
import { eventually } from '../../support/eventually.ts';

test('a log that has grown is put aside and nginx is told', async (t) => {
  const { file, pidFile, keep } = largeLog(t);
  const nginx = spawn('sleep', ['60']);
  t.teardown(() => nginx.kill('SIGKILL'));
  writeFileSync(pidFile, `${nginx.pid}\n`);
  const ended = once(nginx, 'exit');
  await keep(async () => {
    t.deepEqual(await ended, [null, 'SIGUSR1']);
    t.is(statSync(`${file}.1`).size, large);
    t.false(existsSync(file));
  });
});

test('a process id of an nginx that is gone leaves the log in place, is logged, and the next round tries again', async (t) => {
  const { file, pidFile, keep, logged } = largeLog(t);
  const dead = spawn('true');
  await once(dead, 'exit');
  writeFileSync(pidFile, `${dead.pid}\n`);
  await keep(async () => {
    await eventually(() => {
      if (logged.length < 2) throw new Error('not logged twice');
    });
    t.is(statSync(file).size, large);
    t.regex(logged[0] ?? '', /Access log could not be rotated/);
    const nginx = spawn('sleep', ['60']);
    t.teardown(() => nginx.kill('SIGKILL'));
    const ended = once(nginx, 'exit');
    writeFileSync(pidFile, `${nginx.pid}\n`);
    await ended;
    t.is(statSync(`${file}.1`).size, large);
  });
});

const large = 65 * 2 ** 20;

/** A sparse log of 65 MiB, and a function that keeps it small while `during` runs. */
function largeLog(t: ExecutionContext) {
  const dir = mkdtempSync(join(tmpdir(), 'access-log-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const [file, pidFile] = [join(dir, 'access.log'), join(dir, 'nginx.pid')];
  writeFileSync(file, '');
  truncateSync(file, large);
  const logged: string[] = [];
  const log = createLogger({ destination: { write: (line: string) => logged.push(line) } });
  const keep = async (during: () => Promise<void>) => {
    const stop = new AbortController();
    const kept = keepAccessLogSmall({ file, pidFile, log, everyMs: 10 }, stop.signal);
    try {
      await Promise.race([during(), kept.then(() => new Promise(() => {}))]);
    } finally {
      stop.abort();
      await kept;
    }
  };
  return { file, pidFile, keep, logged };
}
