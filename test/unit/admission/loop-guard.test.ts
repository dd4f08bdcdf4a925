import test from 'ava';
import { guardedController } from '../../../src/admission/loop-guard.ts';

const skip = ['Cluster.postgresql.cnpg.io', 'Node'];
const owned = (apiVersion: unknown, kind: unknown, controller: unknown = true) => ({
  ownerReferences: [
    { apiVersion: 'v1', kind: 'ConfigMap', name: 'x' },
    { apiVersion, kind, controller },
  ],
});

test('a controller of a named kind is told, whatever its version', (t) => {
  t.is(guardedController(owned('postgresql.cnpg.io/v1', 'Cluster'), skip), 'Cluster.postgresql.cnpg.io');
  t.is(guardedController(owned('postgresql.cnpg.io/v2beta1', 'Cluster'), skip), 'Cluster.postgresql.cnpg.io');
  t.is(guardedController(owned('v1', 'Node'), skip), 'Node');
});

test('other kinds, other groups, and owners that do not control are none', (t) => {
  t.is(guardedController(owned('cluster.x-k8s.io/v1', 'Cluster'), skip), undefined);
  t.is(guardedController(owned('apps/v1', 'ReplicaSet'), skip), undefined);
  t.is(guardedController(owned('postgresql.cnpg.io/v1', 'Cluster', false), skip), undefined);
  t.is(guardedController(owned('postgresql.cnpg.io/v1', 'Cluster', 'true'), skip), undefined);
  t.is(guardedController(owned('postgresql.cnpg.io/v1', 'Cluster'), []), undefined);
});

test('owners of any other form are none', (t) => {
  for (const ownerReferences of [undefined, null, 'x', [null, 7, 'x', []], [{ controller: true }]])
    t.is(guardedController({ ownerReferences }, skip), undefined);
  t.is(guardedController(undefined, skip), undefined);
});
