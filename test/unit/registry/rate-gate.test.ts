import test from 'ava';
import { RateGate } from '../../../src/registry/rate-gate.ts';

const { signal } = new AbortController();
const get = { host: 'registry.test', kind: 'GET manifests', subject: 'a/b' };

function setUp() {
  const clock = { now: 1_000_000 };
  return { clock, gate: new RateGate(() => clock.now) };
}

test('what was limited is refused until it said, with the rest of the time', async (t) => {
  const { clock, gate } = setUp();
  await gate.pass(get, signal);
  gate.shut(get, 30);
  clock.now += 10_500;
  t.like(await t.throwsAsync(gate.pass(get, signal)), { status: 429, retryAfterSeconds: 20 });
  clock.now += 19_500;
  await t.notThrowsAsync(gate.pass(get, signal));
});

test('nothing is refused for more than a minute, or two seconds where no time was said', async (t) => {
  const { clock, gate } = setUp();
  gate.shut(get, 3_600);
  clock.now += 59_000;
  await t.throwsAsync(gate.pass(get, signal));
  clock.now += 1_001;
  await t.notThrowsAsync(gate.pass(get, signal));
  gate.shut(get, undefined);
  clock.now += 2_001;
  await t.notThrowsAsync(gate.pass(get, signal));
});

test('another kind of request of the same repository goes on', async (t) => {
  const { gate } = setUp();
  gate.shut(get, 30);
  await t.notThrowsAsync(gate.pass({ ...get, kind: 'HEAD manifests' }, signal));
  await t.notThrowsAsync(gate.pass({ ...get, kind: 'GET blobs' }, signal));
});

test('other repositories go on in turn, and those too far behind are refused for a moment', async (t) => {
  const { clock, gate } = setUp();
  gate.shut(get, 30);
  const started = performance.now();
  const waiting = Array.from({ length: 50 }, (_, at) =>
    gate.pass({ ...get, subject: `other/${at}` }, signal),
  );
  const ended = await Promise.allSettled(waiting);
  t.true(performance.now() - started > 900);
  const passed = ended.filter(({ status }) => status === 'fulfilled').length;
  t.true(passed >= 4 && passed <= 7, `${passed} passed`);
  const refused = ended.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
  t.like(refused.reason, { status: 429, retryAfterSeconds: 2 });
  clock.now += 31_000;
  await t.notThrowsAsync(Promise.all(Array.from({ length: 50 }, () => gate.pass(get, signal))));
});

test('one who waits for a turn leaves when there is no more need', async (t) => {
  const { gate } = setUp();
  gate.shut(get, 30);
  const gone = new AbortController();
  const waiting = gate.pass({ ...get, subject: 'other' }, gone.signal);
  gone.abort();
  await t.throwsAsync(waiting, { name: 'AbortError' });
});
