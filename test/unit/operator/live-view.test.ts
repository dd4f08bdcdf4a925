import test from 'ava';
import type { KubeObject } from '../../../src/kube/object.ts';
import { Store, type StoreChange } from '../../../src/kube/store.ts';
import { LiveView } from '../../../src/operator/live-view.ts';

function object(resourceVersion: string, uid = 'u'): KubeObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: 's', namespace: 'n', uid, resourceVersion } };
}

function scene(theirSpec = false) {
  const clock = { now: 0 };
  const store = new Store();
  const view = new LiveView(store, { theirSpec, now: () => clock.now });
  const heard: string[] = [];
  view.subscribe(({ type, object: { metadata } }: StoreChange) =>
    heard.push(`${type} ${metadata.resourceVersion}`),
  );
  const version = () => view.get('n/s')?.metadata.resourceVersion;
  return { clock, store, view, heard, version };
}

test('A write is seen before the watch shows it, and its echo wakes nobody', (t) => {
  const { store, view, heard, version } = scene();
  view.written(object('5'));
  t.is(version(), '5');
  store.put(object('5'));
  t.is(version(), '5');
  t.deepEqual(heard, []);
  store.put(object('6'));
  t.is(version(), '6');
  t.deepEqual(heard, ['MODIFIED 6']);
});

test('A state before our write does not hide it', (t) => {
  const { store, view, version, heard } = scene();
  store.put(object('3'));
  view.written(object('12'));
  store.put(object('9'));
  t.is(version(), '12');
  t.deepEqual(heard, ['ADDED 3']);
});

test('A watch that was faster than the answer is believed', (t) => {
  const { store, view, version } = scene();
  store.put(object('7'));
  view.written(object('6'));
  t.is(version(), '7');
});

test('A write that the watch never shows is doubted after a while', (t) => {
  const { clock, view, version } = scene();
  view.written(object('5'));
  clock.now = 10_000;
  t.is(version(), undefined);
});

test('A deletion ends what was written; that of a predecessor does not', (t) => {
  const { store, view, version, heard } = scene();
  store.put(object('1', 'old'));
  view.written(object('5', 'young'));
  store.remove('n/s', object('4', 'old'));
  t.is(version(), '5');
  store.put(object('5', 'young'));
  store.remove('n/s', object('8', 'young'));
  t.is(version(), undefined);
  t.deepEqual(heard, ['ADDED 1', 'DELETED 4', 'DELETED 8']);
});

test('What was deleted before our write was answered is not taken for what is there', (t) => {
  for (const isNew of [true, false]) {
    const { store, view, version } = scene();
    if (!isNew) store.put(object('1'));
    store.put(object('5'));
    store.remove('n/s', object('6'));
    view.written(object('5'));
    t.is(version(), undefined);
    view.written(object('7', 'successor'));
    t.is(version(), '7');
  }
});

test('What a watch shows no more, because somebody took its label away, is there again with the write that mends it', (t) => {
  const { store, view, version } = scene();
  store.put(object('1'));
  store.remove('n/s', object('2'));
  view.written(object('3'));
  t.is(version(), '3');
  store.put(object('3'));
  t.is(version(), '3');
});

test('What our own write ended is gone at once, its successor is not', (t) => {
  const { store, view, version } = scene();
  store.put(object('1'));
  view.sawOff(object('1'));
  t.is(version(), undefined);
  store.put(object('2', 'other'));
  t.is(version(), '2');
});

function mirror(resourceVersion: string, generation: number, deletionTimestamp?: string): KubeObject {
  const metadata = { name: 'm', uid: 'u', resourceVersion, generation };
  const deletion = deletionTimestamp === undefined ? {} : { deletionTimestamp };
  return { apiVersion: 'v1', kind: 'RegistryMirror', metadata: { ...metadata, ...deletion } };
}

test('An edit by others between two of our writes is told, whether the watch shows it alone or with our write', (t) => {
  for (const shown of [['5', '6'], ['6']]) {
    const { store, view, heard } = scene(true);
    store.put(mirror('4', 1));
    view.written(mirror('6', 2));
    for (const version of shown) store.put(mirror(version, 2));
    t.deepEqual(heard, ['ADDED 4', `MODIFIED ${shown[0]}`]);
  }
});

test('A deletion that our own write was faster to see is told', (t) => {
  for (const theirSpec of [true, false]) {
    const { store, view, heard } = scene(theirSpec);
    store.put(mirror('4', 1));
    view.written(mirror('6', 1, '2026-01-01T00:00:00Z'));
    store.put(mirror('5', 1, '2026-01-01T00:00:00Z'));
    store.put(mirror('6', 1, '2026-01-01T00:00:00Z'));
    t.deepEqual(heard, ['ADDED 4', 'MODIFIED 5']);
  }
});

test('A new generation of what we write ourselves is an echo', (t) => {
  const { store, view, heard } = scene();
  store.put(mirror('4', 1));
  view.written(mirror('6', 2));
  store.put(mirror('6', 2));
  t.deepEqual(heard, ['ADDED 4']);
});
