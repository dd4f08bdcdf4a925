import assert from 'node:assert/strict';
import { setImmediate as tick } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { type Timers, WorkQueue, type WorkQueueOptions } from '../../../src/kube/work-queue.ts';
import { eventually } from '../../support/eventually.ts';

test('a key added several times before a worker is free is handled once', async (t) => {
  const { queue, run, handled } = start(t);
  queue.add('a');
  queue.add('b');
  queue.add('a');
  run();
  await idle(queue);
  t.deepEqual(handled, ['a', 'b']);
});

test('a key added while it is handled is handled once more afterwards, never beside', async (t) => {
  const gate = Promise.withResolvers<void>();
  let running = 0;
  const { queue, run, handled } = start(t, {}, async () => {
    running += 1;
    t.is(running, 1);
    await gate.promise;
    running -= 1;
  });
  run();
  queue.add('a');
  await eventually(() => assert.equal(handled.length, 1));
  queue.add('a');
  queue.add('a');
  t.is(queue.length, 1);
  gate.resolve();
  await idle(queue);
  t.deepEqual(handled, ['a', 'a']);
});

test('as many keys as there are workers are handled at the same time', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { queue, run, handled } = start(t, {}, () => gate.promise);
  run(2);
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await eventually(() => assert.equal(handled.length, 2));
  await tick();
  t.deepEqual(handled, ['a', 'b']);
  gate.resolve();
  await idle(queue);
  t.deepEqual(handled, ['a', 'b', 'c']);
});

test('of several delays the earliest counts, and adding the key ends it', async (t) => {
  const timers = new ManualTimers();
  const { queue, run, handled } = start(t, { timers });
  run();
  queue.addAfter('a', 1_000);
  queue.addAfter('a', 5_000);
  queue.addAfter('a', 300);
  t.deepEqual(timers.pending, [300]);
  timers.fire();
  await idle(queue);
  t.deepEqual(handled, ['a']);
  queue.addAfter('a', 300);
  queue.add('a');
  t.deepEqual(timers.pending, []);
});

test('a delay too long for a timer does not fire at once', (t) => {
  const timers = new ManualTimers();
  const { queue } = start(t, { timers });
  queue.addAfter('a', 2 ** 40);
  t.deepEqual(timers.pending, [2 ** 31 - 1]);
  queue.addAfter('b', -1);
  queue.addAfter('c', Number.NaN);
  t.is(queue.length, 2);
});

test('retries of a key come later each time until it is forgotten', (t) => {
  const { queue } = start(t, { timers: new ManualTimers(), baseMs: 100, maxMs: 350, random: () => 0 });
  const pauses = [queue.retry('a'), queue.retry('a'), queue.retry('a'), queue.retry('b')];
  t.deepEqual(pauses, [100, 200, 350, 100]);
  t.is(queue.failures('a'), 3);
  queue.forget('a');
  t.is(queue.retry('a'), 100);
});

test('a handler that throws is called again', async (t) => {
  let left = 2;
  const { queue, run, handled } = start(t, { baseMs: 1 }, async () => {
    left -= 1;
    if (left >= 0) throw new Error('not yet');
  });
  run();
  queue.add('a');
  await eventually(() => assert.equal(handled.length, 3));
  t.is(left, -1);
});

test('a stop waits for running handlers and starts no other', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { queue, run, handled, stop } = start(t, {}, () => gate.promise);
  const ended = run(1);
  queue.add('a');
  queue.add('b');
  await eventually(() => assert.equal(handled.length, 1));
  queue.add('a');
  stop();
  await tick();
  gate.resolve();
  t.true(await ended);
  queue.add('c');
  await tick();
  t.deepEqual(handled, ['a']);
});

test('a stop does not wait for ever', async (t) => {
  const { queue, run, handled, stop } = start(t, {}, () => new Promise(() => undefined));
  const ended = run(1, 10);
  queue.add('a');
  await eventually(() => assert.equal(handled.length, 1));
  stop();
  t.false(await ended);
});

test('whatever is added when, every key is handled after its last add and never twice at a time', async (t) => {
  const step = fc.record({ key: fc.constantFrom('a', 'b', 'c'), turns: fc.integer({ min: 0, max: 3 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 30 }),
      fc.integer({ min: 1, max: 3 }),
      async (steps, workers) => {
        const queue = new WorkQueue();
        const stop = new AbortController();
        const wanted = new Map<string, number>();
        const seen = new Map<string, number>();
        const running = new Set<string>();
        const ended = queue.run(
          async (key) => {
            assert.ok(!running.has(key) && running.size < workers);
            running.add(key);
            seen.set(key, wanted.get(key) ?? 0);
            await tick();
            running.delete(key);
          },
          stop.signal,
          { workers },
        );
        for (const [index, { key, turns }] of steps.entries()) {
          wanted.set(key, index);
          queue.add(key);
          for (let turn = 0; turn < turns; turn += 1) await tick();
        }
        await eventually(() => assert.ok(queue.idle), { interval: 1 });
        assert.deepEqual(seen, wanted);
        stop.abort();
        await ended;
      },
    ),
    { numRuns: 50 },
  );
  t.pass();
});

function start(
  t: ExecutionContext,
  options: WorkQueueOptions = {},
  work: () => Promise<void> = async () => undefined,
) {
  const queue = new WorkQueue(options);
  const stop = new AbortController();
  const handled: string[] = [];
  t.teardown(() => stop.abort());
  const run = (workers = 4, drainMs = 1_000) =>
    queue.run(
      async (key) => {
        handled.push(key);
        await work();
      },
      stop.signal,
      { workers, drainMs },
    );
  return { queue, run, handled, stop: () => stop.abort() };
}

async function idle(queue: WorkQueue): Promise<void> {
  await eventually(() => assert.ok(queue.idle), { interval: 1 });
}

/** Timers that fire when told. */
class ManualTimers implements Timers {
  readonly #timers = new Map<object, { callback: () => void; ms: number }>();

  get pending(): number[] {
    return [...this.#timers.values()].map(({ ms }) => ms);
  }

  setTimeout(callback: () => void, ms: number): unknown {
    const timer = {};
    this.#timers.set(timer, { callback, ms });
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as object);
  }

  fire(): void {
    for (const [timer, { callback }] of [...this.#timers]) {
      this.#timers.delete(timer);
      callback();
    }
  }
}
