import test from 'ava';
import { NamespaceLabels } from '../../../src/admission/namespace-labels.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import type { KubeObject } from '../../../src/kube/object.ts';

const namespace = (name: string, labels: Record<string, string>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});

/** `answer` is what the API server says of any namespace that the store does not have. */
function scene(answer: (name: string, signal: AbortSignal) => Promise<KubeObject | undefined>) {
  const asked: string[] = [];
  const unknown: string[] = [];
  const state = { now: 0 };
  const labels = new NamespaceLabels({
    store: { get: (name) => (name === 'known' ? namespace(name, { a: 'store' }) : undefined) },
    client: {
      getOrUndefined: async (
        _type: unknown,
        { name }: { name: string },
        { signal }: { signal: AbortSignal },
      ) => {
        asked.push(name);
        return answer(name, signal);
      },
    } as unknown as KubeClient,
    unknown: (name) => unknown.push(name),
    now: () => state.now,
    patienceMs: 50,
  });
  return { labels, asked, unknown, state };
}

test('what the watch has shown is known at once', (t) => {
  const { labels, asked } = scene(async () => undefined);
  t.deepEqual(labels.of('known'), { a: 'store' });
  t.deepEqual(asked, []);
});

test('a namespace that is new is asked for once, for all pods that come before the news of it', async (t) => {
  const { labels, asked, state, unknown } = scene(async (name) => namespace(name, { a: 'server' }));
  t.deepEqual(await Promise.all([labels.of('new'), labels.of('new')]), [{ a: 'server' }, { a: 'server' }]);
  await labels.of('new');
  t.deepEqual(asked, ['new']);
  state.now = 5_000;
  await labels.of('new');
  t.deepEqual(asked, ['new', 'new'], 'what was said is not kept for ever');
  t.deepEqual(unknown, []);
});

test('one that does not exist has no labels, and one that cannot be asked for is told', async (t) => {
  t.is(await scene(async () => undefined).labels.of('gone'), undefined);
  const { labels, unknown } = scene(async () => Promise.reject(new Error('refused')));
  t.is(await labels.of('new'), undefined);
  t.deepEqual(unknown, ['new']);
});

test('no pod waits for an API server that does not answer', async (t) => {
  const { labels, unknown } = scene(
    (_name, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  );
  // A timeout of a signal keeps no process alive.
  const alive = setTimeout(() => undefined, 10_000);
  t.is(await labels.of('new'), undefined);
  clearTimeout(alive);
  t.deepEqual(unknown, ['new']);
});

test('names that are none are asked of nobody, and of many not more than a few', async (t) => {
  const { labels, asked, unknown } = scene(() => new Promise(() => undefined));
  t.is(await labels.of('../pods'), undefined);
  t.is(await labels.of('A'), undefined);
  t.deepEqual(asked, []);
  for (let index = 0; index < 1_000; index += 1) void labels.of(`n${index}`);
  t.is(asked.length, 64);
  t.is(unknown.length, 1_000 - 64);
});
