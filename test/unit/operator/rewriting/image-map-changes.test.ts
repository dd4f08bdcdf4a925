import test from 'ava';
import { compileRules, type RuleTable } from '../../../../src/image/rules/table.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import { onImageMapChanges } from '../../../../src/operator/rewriting/image-map-changes.ts';

test('new rules wake, and what others do to a map beside its lines; our own writes and new lines do not', (t) => {
  const store = new Store();
  const view = new LiveView(store, { theirSpec: true });
  const listeners = new Set<(table: RuleTable) => void>();
  const subscribe = (listener: (table: RuleTable) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  let changes = 0;
  const end = onImageMapChanges({ subscribe }, view, () => {
    changes += 1;
  });

  store.put(imageMap('1'));
  t.is(changes, 0, 'the rules will tell');
  for (const listener of listeners) listener(compileRules({}));
  t.is(changes, 1);
  view.written(imageMap('2', { status: 'ours' }));
  store.put(imageMap('2', { status: 'ours' }));
  t.is(changes, 1);
  store.put(imageMap('3', { status: 'theirs' }));
  t.is(changes, 2);
  store.put(imageMap('4', {}, 2));
  t.is(changes, 2, 'a new generation is new rules');

  end();
  store.put(imageMap('5', { status: 'theirs' }, 2));
  t.is(changes, 2);
  t.is(listeners.size, 0);
});

function imageMap(resourceVersion: string, fields = {}, generation = 1): KubeObject {
  const metadata = { name: 'a', namespace: 'team', uid: 'u', generation, resourceVersion };
  return { apiVersion: 'x/v1', kind: 'ImageMap', metadata, ...fields };
}
