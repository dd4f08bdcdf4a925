import test from 'ava';
import { keyOf, parseKey } from '../../../src/kube/object.ts';
import { apiVersionOf, type ResourceType, resourcePath, typeName } from '../../../src/kube/resource-type.ts';

const pods: ResourceType = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
const nodes: ResourceType = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
const sets: ResourceType = {
  group: 'apps',
  version: 'v1',
  plural: 'statefulsets',
  kind: 'StatefulSet',
  namespaced: true,
};

test('objects, collections and subresources have the paths the API server serves', (t) => {
  t.is(resourcePath(pods), '/api/v1/pods');
  t.is(resourcePath(pods, { namespace: 'a' }), '/api/v1/namespaces/a/pods');
  t.is(resourcePath(nodes, { name: 'n1.example' }), '/api/v1/nodes/n1.example');
  t.is(resourcePath(nodes, { namespace: 'ignored', name: 'n1' }), '/api/v1/nodes/n1');
  t.is(
    resourcePath(sets, { namespace: 'a', name: 'b' }, 'status'),
    '/apis/apps/v1/namespaces/a/statefulsets/b/status',
  );
});

test('a name that is no path segment is refused instead of leading to another object', (t) => {
  for (const name of ['', '.', '..', 'a/b', 'a%2fb', 'a?b', 'a#b', 'a b', 'a\\b']) {
    t.throws(() => resourcePath(pods, { namespace: 'a', name }), { instanceOf: TypeError });
    t.throws(() => resourcePath(pods, { namespace: name, name: 'a' }), { instanceOf: TypeError });
  }
  t.throws(() => resourcePath(pods, { name: 'a' }), { message: /needs a namespace/ });
});

test('types and keys have the names kubectl uses', (t) => {
  t.is(typeName(pods), 'pods');
  t.is(typeName(sets), 'statefulsets.apps');
  t.is(apiVersionOf(pods), 'v1');
  t.is(apiVersionOf(sets), 'apps/v1');
  t.is(keyOf({ metadata: { name: 'a' } }), 'a');
  t.is(keyOf({ metadata: { namespace: 'n', name: 'a' } }), 'n/a');
  t.deepEqual(parseKey('n/a'), { namespace: 'n', name: 'a' });
  t.deepEqual(parseKey('a'), { name: 'a' });
});
