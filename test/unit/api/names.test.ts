import test from 'ava';
import { maxNameLength } from '../../../src/api/kind.ts';
import {
  labelSelector,
  nodeCommonName,
  objectNames,
  operatorCommonName,
  replicaCommonName,
  serviceDnsNames,
  sharedNodeCommonName,
} from '../../../src/api/names.ts';

test('names derived from the longest mirror name are DNS labels', (t) => {
  const longest = 'a'.repeat(maxNameLength);
  for (const name of Object.values(objectNames(longest)))
    t.regex(name, /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
  // A pod of the set carries `<set>-<ordinal>` as a label, a claim `image-store-<set>-<ordinal>` as a name.
  t.true(`${objectNames(longest).statefulSet}-63`.length <= 63);
});

test('cert-manager and the operator never write the same Secret', (t) => {
  const { certificateSecret, leafSecret, configSecret } = objectNames('hub');
  t.is(new Set([certificateSecret, leafSecret, configSecret]).size, 3);
});

test('a label selector finds the objects of a mirror, or one component’s pods', (t) => {
  t.is(labelSelector('hub'), 'app=docker-registry,mirror=hub');
  t.is(labelSelector('hub', 'registry'), 'app=docker-registry,mirror=hub,component=registry');
});

test('a Service is known by four DNS names', (t) => {
  t.deepEqual(serviceDnsNames('hub', 'ns'), [
    'registry-mirror-hub',
    'registry-mirror-hub.ns',
    'registry-mirror-hub.ns.svc',
    'registry-mirror-hub.ns.svc.cluster.local',
  ]);
});

test('whatever a mirror is named, no node agent and not the operator shows the name of a replica', (t) => {
  const names = ['hub', 'operator', 'operator-status', 'node'];
  const replicas = names.map(replicaCommonName);
  for (const shown of [operatorCommonName, sharedNodeCommonName, ...names.map(nodeCommonName)]) {
    t.false(replicas.includes(shown));
    t.regex(shown, /\./, 'a mirror’s name has no dot');
    t.true(shown.length <= 64);
  }
  t.true(nodeCommonName('a'.repeat(maxNameLength)).length <= 64, 'RFC 5280, ub-common-name');
});
