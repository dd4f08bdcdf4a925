import assert from 'node:assert/strict';
import test from 'ava';
import fc from 'fast-check';
import { type KubeObject, keyOf } from '../../../src/kube/object.ts';
import { Store } from '../../../src/kube/store.ts';
import { StoreReplica } from '../../support/store-replica.ts';

test('an object is found by key and by every value of an index', (t) => {
  const store = new Store({ indexes: { label: labels } });
  store.put(object('a', 1, ['red', 'blue']));
  store.put(object('b', 2, ['red']));
  t.deepEqual(names(store.byIndex('label', 'red')), ['a', 'b']);
  t.deepEqual(names(store.byIndex('label', 'blue')), ['a']);
  t.deepEqual(store.byIndex('label', 'green'), []);
  t.is(store.get('ns/b')?.metadata.name, 'b');
  t.throws(() => store.byIndex('colour', 'red'), { message: /no index colour/ });
});

test('the same resourceVersion again tells nobody; the same name with another uid does', (t) => {
  const store = new Store();
  const replica = new StoreReplica(store);
  store.put(object('a', 1));
  store.put(object('a', 1));
  store.put({ ...object('a', 1), metadata: { ...object('a', 1).metadata, uid: 'made-anew' } });
  t.deepEqual(replica.log, ['ADDED ns/a', 'MODIFIED ns/a']);
});

test('replacing tells what vanished, came and changed, and nothing of the rest', (t) => {
  const store = new Store();
  for (const name of ['gone', 'same', 'changed']) store.put(object(name, 1));
  const replica = new StoreReplica(store);
  const seen: number[] = [];
  store.subscribe(() => seen.push(store.size));
  store.replace([object('same', 1), object('changed', 2), object('new', 3)]);
  t.deepEqual(replica.log, ['DELETED ns/gone', 'MODIFIED ns/changed', 'ADDED ns/new']);
  t.deepEqual(seen, [3, 3, 3], 'subscribers see the whole new content');
});

test('what is stored is prepared and cannot be changed', (t) => {
  const store = new Store({
    prepare({ metadata: { managedFields: _, ...metadata }, ...rest }: KubeObject): KubeObject {
      return { ...rest, metadata } as KubeObject;
    },
  });
  const fields = [{ manager: 'm', operation: 'Apply' as const, apiVersion: 'v1' }];
  store.put({ ...object('a', 1), metadata: { ...object('a', 1).metadata, managedFields: fields } });
  const stored = store.get('ns/a')!;
  t.is(stored.metadata.managedFields, undefined);
  t.throws(() => Object.assign(stored.metadata, { name: 'b' }), { instanceOf: TypeError });
});

test('a subscriber that throws keeps no other from hearing, and one that left hears nothing', (t) => {
  const store = new Store();
  store.subscribe(() => {
    throw new Error('broken');
  });
  const leave = store.subscribe(() => t.fail());
  leave();
  const replica = new StoreReplica(store);
  store.put(object('a', 1));
  t.deepEqual(replica.log, ['ADDED ns/a']);
});

test('indexes always equal a search through all objects, and a replay equals the store', (t) => {
  const names = fc.constantFrom('a', 'b', 'c', 'd');
  const made = fc
    .tuple(names, fc.integer({ min: 1, max: 50 }), fc.uniqueArray(fc.constantFrom('x', 'y', 'z')))
    .map(([name, version, values]) => object(name, version, values));
  const step = fc.oneof(
    made.map((one) => (store: Store) => store.put(one)),
    names.map((name) => (store: Store) => store.remove(`ns/${name}`)),
    fc.uniqueArray(made, { selector: keyOf }).map((all) => (store: Store) => store.replace(all)),
  );
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const store = new Store({ indexes: { label: labels } });
      const replica = new StoreReplica(store);
      for (const take of steps) take(store);
      for (const value of ['x', 'y', 'z']) {
        const searched = store.list().filter((one) => labels(one).includes(value));
        assert.deepEqual(new Set(store.byIndex('label', value)), new Set(searched));
      }
      assert.deepEqual(new Set(replica.objects.values()), new Set(store.list()));
      assert.deepEqual(replica.contradictions, []);
    }),
  );
  t.pass();
});

function object(name: string, version: number, values: string[] = []): KubeObject {
  const metadata = { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: String(version) };
  return { apiVersion: 'v1', kind: 'Thing', metadata, values };
}

function labels(one: KubeObject): string[] {
  return one['values'] as string[];
}

function names(objects: KubeObject[]): string[] {
  return objects.map(({ metadata }) => metadata.name).sort();
}
