import test from 'ava';
import { readImageMapDocuments } from '../../../src/cli/image-map-documents.ts';

const head = 'apiVersion: mapper.imagerelocation.pivotal.io/v1alpha1\nkind: ImageMap\n';
const spec = 'spec:\n  map:\n  - from: a\n    to: r/a\n';

test('maps are read with their age, and the namespace of those that name none', (t) => {
  const text = `${head}metadata: {name: a, namespace: own, creationTimestamp: 2026-01-01T00:00:00Z}\n${spec}---\n${head}metadata: {name: b, namespace: }\n${spec}`;
  const map = [{ from: 'a', to: 'r/a' }];
  t.deepEqual(readImageMapDocuments(text, 'f.yaml', 'given'), {
    imageMaps: [
      { namespace: 'own', name: 'a', creationTimestamp: '2026-01-01T00:00:00Z', map },
      { namespace: 'given', name: 'b', creationTimestamp: '9', map },
    ],
  });
});

test('a map that is being deleted counts no more, as in the cluster', (t) => {
  const text = `${head}metadata: {name: a, deletionTimestamp: 2026-01-01T00:00:00Z}\n${spec}`;
  t.deepEqual(readImageMapDocuments(text, 'f.yaml', 'ns'), { imageMaps: [] });
});

test('what `kubectl get -o yaml` prints is read', (t) => {
  const item = `- ${`${head}metadata: {name: a}\n${spec}`.trim().replaceAll('\n', '\n  ')}`;
  const read = readImageMapDocuments(`apiVersion: v1\nkind: List\nitems:\n${item}\n`, 'f.yaml', 'ns');
  t.deepEqual('imageMaps' in read && read.imageMaps.map(({ name }) => name), ['a']);
});

test('every fault of every document has its line', (t) => {
  const text = `${head}metadata: {namespace: 1}\nspec:\n  map:\n  - from: a\n---\nkind: Pod\n---\n- 1\n`;
  t.deepEqual(readImageMapDocuments(text, 'f.yaml', 'ns'), {
    faults: [
      'f.yaml:3: document 1: metadata.name: expected a name',
      'f.yaml:3: document 1: metadata.namespace: expected a name',
      'f.yaml:6: document 1: spec.map[0].to: expected a text',
      'f.yaml:8: document 2: apiVersion: expected mapper.imagerelocation.pivotal.io/v1alpha1',
      'f.yaml:8: document 2: kind: expected ImageMap',
      'f.yaml:8: document 2: metadata.name: expected a name',
      'f.yaml:8: document 2: spec.map: expected a list of {from, to}',
      'f.yaml:10: document 3: apiVersion: expected mapper.imagerelocation.pivotal.io/v1alpha1',
      'f.yaml:10: document 3: kind: expected ImageMap',
      'f.yaml:10: document 3: metadata.name: expected a name',
      'f.yaml:10: document 3: spec.map: expected a list of {from, to}',
    ],
  });
  t.deepEqual(readImageMapDocuments('a: [', 'f.yaml', 'ns'), {
    faults: ['f.yaml:1: unexpected end of the stream within a flow collection'],
  });
});
