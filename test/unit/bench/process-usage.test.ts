import { spawnSync } from 'node:child_process';
import test from 'ava';
import {
  cpuSecondsOf,
  cpuSecondsOfTree,
  memoryOf,
  parseStat,
  parseStatus,
} from '../../../bench/process-usage.ts';

test('kibibytes of the kernel are read as MiB', (t) => {
  const text = 'Name:\tnode\nVmHWM:\t  102400 kB\nVmRSS:\t   81920 kB\nRssAnon:\t   51251 kB\n';
  t.deepEqual(parseStatus(text), { peak: 100, now: 80, anonymous: 50 });
});

test('a process that has ended has no memory to tell of', (t) => {
  t.throws(() => parseStatus('Name:\tnode\nState:\tZ (zombie)\n'), { message: /no VmHWM/ });
});

test('the running process has resident memory, some of it anonymous', async (t) => {
  const { peak, now, anonymous } = await memoryOf(process.pid);
  t.true(peak >= now && now > anonymous && anonymous > 1);
});

test('processor time is user and system time, whatever the process is called', (t) => {
  t.is(parseStat('12 (a) b) S 1 12 12 0 -1 4194304 5000 0 10 0 250 50 7 8 20 0'), 3);
  t.throws(() => parseStat(''), { message: /Not a line/ });
});

test('the running process has used processor time', async (t) => {
  t.true((await cpuSecondsOf(process.pid)) > 0);
});

test('what a process and those it has waited for have used is counted together', async (t) => {
  const before = await cpuSecondsOfTree(process.pid);
  spawnSync('sh', ['-c', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done']);
  t.true((await cpuSecondsOfTree(process.pid)) > before);
});
