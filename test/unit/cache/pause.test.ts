import { getEventListeners } from 'node:events';
import test from 'ava';
import { pause, pauseUntil } from '../../../src/cache/pause.ts';

test('a pause lasts its time', async (t) => {
  const { signal } = new AbortController();
  const startedAt = performance.now();
  t.true(await pause(50, signal));
  t.true(performance.now() - startedAt >= 49);
});

test('a signal ends a pause, and allows none afterwards', async (t) => {
  const stop = new AbortController();
  const pausing = pause(60_000, stop.signal);
  stop.abort();
  t.false(await pausing);
  t.false(await pause(60_000, stop.signal));
});

test('what is waited for ends a pause, and leaves nothing behind', async (t) => {
  const { signal } = new AbortController();
  const wake = Promise.withResolvers<void>();
  const pausing = pauseUntil(wake.promise, 60_000, signal);
  t.is(getEventListeners(signal, 'abort').length, 1);
  wake.resolve();
  t.true(await pausing);
  t.true(await pauseUntil(wake.promise, 60_000, signal));
  t.is(getEventListeners(signal, 'abort').length, 0);
});
