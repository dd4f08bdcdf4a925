import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { type ChildPlan, keepRunning } from '../../../src/cache/child.ts';
import { createLogger, type Logger } from '../../../src/observe/log.ts';
import { eventually } from '../../support/eventually.ts';

test('a child that ends is started again', async (t) => {
  const { started, stop } = run(t, 'exit 3');
  await eventually(() => assert(started.length >= 2));
  await stop();
  t.pass();
});

test('a program that is not there is tried again and can be stopped', async (t) => {
  const { started, stop } = run(t, undefined);
  await eventually(() => assert(started.length >= 2));
  await stop();
  t.pass();
});

test('a start that throws is tried again, and told', async (t) => {
  const told: string[] = [];
  const log = { error: ({ how }: { how: string }) => told.push(how), warn: () => {} } as unknown as Logger;
  const start = () => {
    throw new Error('spawn ENOMEM');
  };
  const stop = new AbortController();
  const running = keepRunning({ name: 'child', start, stop: [], log }, stop.signal);
  await eventually(() => assert(told.length >= 2));
  stop.abort();
  await running;
  t.is(told[0], 'could not be started: spawn ENOMEM');
});

test('a child leaves no listener', async (t) => {
  const { started, stop, signal } = run(t, 'exit 3');
  await eventually(() => assert(started.length >= 2));
  t.true(getEventListeners(signal, 'abort').length <= 2);
  await stop();
});

test('what a killed child leaves in its group is killed before it is started again', async (t) => {
  const { started, stop } = run(t, 'sleep 60 & sleep 60');
  await eventually(() => assert(started.length === 1));
  const first = started[0]?.pid ?? 0;
  started[0]?.kill('SIGKILL');
  await eventually(() => assert(started.length === 2));
  t.false(groupExists(first));
  await stop();
});

test('a child that ignores the first signal gets the next ones, and then the whole group is killed', async (t) => {
  const { started, stop } = run(t, "trap '' TERM QUIT; while :; do sleep 0.05; done");
  await eventually(() => assert(ignoresTermAndQuit(started[0]?.pid)));
  await stop();
  // The shell's own child is reaped by whoever inherits it, a moment later.
  await eventually(() => assert(!groupExists(started[0]?.pid ?? 0)));
  t.pass();
});

function ignoresTermAndQuit(pid: number | undefined): boolean {
  const status = pid === undefined ? '' : readFileSync(`/proc/${pid}/status`, 'utf8');
  const mask = BigInt(`0x${/^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return [3n, 15n].every((signal) => (mask & (1n << (signal - 1n))) !== 0n);
}

/** Keeps `sh -c script` running; without a script, a program that does not exist. */
function run(t: ExecutionContext, script: string | undefined) {
  const started: ChildProcess[] = [];
  const plan: ChildPlan = {
    name: 'test',
    start: () => {
      const command = script === undefined ? '/does/not/exist' : 'sh';
      const child = spawn(command, ['-c', script ?? ''], { detached: true, stdio: 'ignore' });
      started.push(child);
      return child;
    },
    stop: [
      { signal: 'SIGQUIT', waitMs: 50 },
      { signal: 'SIGTERM', waitMs: 50 },
    ],
    log: createLogger({ level: 'silent' }),
  };
  const end = new AbortController();
  const done = keepRunning(plan, end.signal);
  const stop = async () => {
    end.abort();
    await done;
  };
  t.teardown(stop);
  return { started, stop, signal: end.signal };
}

/** True while a process of the group runs; one that is dead but not yet waited for does not. */
function groupExists(group: number): boolean {
  return readdirSync('/proc').some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(processGroup) === group && state !== 'Z';
    } catch {
      return false;
    }
  });
}
