import test from 'ava';
import { memoryOf, parseStatus } from '../../../../bench/reconcile/memory.ts';

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
