import test from 'ava';
import { waitFor } from '../../../bench/wait-for.ts';

const { signal } = new AbortController();

test('waiting ends when nothing is missing any more', async (t) => {
  const answers = ['two', 'one', undefined];
  await waitFor('All', async () => answers.shift(), { seconds: 5, signal });
  t.is(answers.length, 0);
});

test('what is still missing at the deadline is told', async (t) => {
  const late = waitFor('All', async () => 'one', { seconds: 0.1, signal });
  await t.throwsAsync(late, { message: 'All: not within 0.1 s: one' });
});

test('waiting ends at once when it is aborted', async (t) => {
  const abort = new AbortController();
  const waiting = waitFor('All', async () => 'one', { seconds: 60, signal: abort.signal });
  abort.abort();
  await t.throwsAsync(waiting, { name: 'AbortError' });
});
