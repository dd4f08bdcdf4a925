import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { cacheEndpoints, preparedSlice } from '../../../../src/operator/cache-reports/cache-endpoints.ts';

function slice(mirror: string, endpoints: object[], labels: object = { mirror }): KubeObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: mirror, namespace: 'default', labels },
    endpoints,
  } as unknown as KubeObject;
}

const endpoint = (name: string, address: string, conditions: object = { ready: true, serving: true }) => ({
  addresses: [address],
  conditions,
  targetRef: { kind: 'Pod', name, uid: 'u' },
  nodeName: 'n',
});

test('Every replica that serves is found once, by its IPv4 address where it has one', (t) => {
  const slices = [
    slice('hub', [endpoint('hub-1', 'fd00::2'), endpoint('hub-0', 'fd00::1')]),
    slice('hub', [endpoint('hub-0', '10.0.0.1'), endpoint('hub-1', '10.0.0.2')]),
    slice('quay', [endpoint('quay-0', 'fd00::3')]),
  ];
  t.deepEqual(cacheEndpoints(slices.map(preparedSlice)), [
    { mirror: 'hub', replica: 'hub-0', address: '10.0.0.1' },
    { mirror: 'hub', replica: 'hub-1', address: '10.0.0.2' },
    { mirror: 'quay', replica: 'quay-0', address: 'fd00::3' },
  ]);
});

test('Published is not serving: replicas have an address before they are ready', (t) => {
  const starting = endpoint('hub-0', '10.0.0.1', { ready: true, serving: false });
  t.deepEqual(cacheEndpoints([slice('hub', [starting])]), []);
  t.is(cacheEndpoints([slice('hub', [endpoint('hub-0', '10.0.0.1', {})])]).length, 1, 'nothing is said');
});

test('A slice of no mirror, and an endpoint without an address, are nobody’s', (t) => {
  t.deepEqual(
    cacheEndpoints([slice('x', [endpoint('x', '10.0.0.1')], {}), slice('y', [{ addresses: [] }])]),
    [],
  );
});
