import test from 'ava';
import type { KubeObject } from '../../../src/kube/object.ts';
import {
  credentialsSecrets,
  mirrorsOf,
  mirrorsOfDaemonSet,
  mirrorsOfSecret,
} from '../../../src/operator/mirror-keys.ts';
import { preparedSecret } from '../../../src/operator/prepared-secret.ts';
import { settingsOf } from '../resources/fixtures.ts';

function object(name: string, more: Partial<KubeObject['metadata']> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'default', ...more } };
}

const owner = { apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', name: 'owner', uid: 'u' };

test('An object belongs to its owner, else to its label, else to its name', (t) => {
  const labels = { mirror: 'label' };
  t.deepEqual(mirrorsOf(object('registry-mirror-name', { labels, ownerReferences: [owner] })), ['owner']);
  t.deepEqual(mirrorsOf(object('registry-mirror-name', { labels })), ['label']);
  t.deepEqual(mirrorsOf(object('registry-mirror-name')), ['name', 'name']);
  t.deepEqual(mirrorsOf(object('registry-mirror-a-secret')), ['a', 'a-secret']);
  t.deepEqual(mirrorsOf(object('unrelated')), []);
});

test('The shared agents concern every mirror, the agents of one mirror that one', (t) => {
  t.is(mirrorsOfDaemonSet(object('registry-mirror-nodes')), 'all');
  t.deepEqual(mirrorsOfDaemonSet(object('registry-mirror-a-utils')), ['a', 'a-utils']);
});

test('A user’s Secret concerns the mirrors that name it; the authority and the given certificate all', (t) => {
  const settings = settingsOf({ DOCKER_CERTIFICATE_SECRET: 'given' });
  const users = (secret: string) => (secret === 'mine' ? ['a', 'b'] : []);
  t.deepEqual(mirrorsOfSecret(object('mine'), settings, users), ['a', 'b']);
  t.is(mirrorsOfSecret(object('given'), settings, users), 'all');
  t.is(mirrorsOfSecret(object('registry-mirror-ca'), settings, users), 'all');
  t.deepEqual(mirrorsOfSecret(object('other'), settings, users), []);
});

test('Of users’ Secrets no value is kept in memory', (t) => {
  const secret = { ...object('mine'), data: { username: 'dXNlcg==', password: 'aHVudGVyMg==', empty: '' } };
  const kept = preparedSecret(secret, settingsOf());
  t.deepEqual(kept['data'], { username: 'set', password: 'set', empty: '' });
  const ours = { ...object('registry-mirror-hub-leaf'), data: { 'tls.crt': 'eA==' } };
  t.is(preparedSecret(ours, settingsOf()), ours);
});

test('A mirror is found by every Secret it names, also one that predates the schema', (t) => {
  const named = (spec: unknown) => credentialsSecrets({ ...object('m'), spec });
  t.deepEqual(named({ credentialsSecret: 'one' }), ['one']);
  t.deepEqual(
    named({ credentials: [{ secret: 'a' }, { prefix: 'x', secret: 'b' }, { prefix: 'y', secret: 'a' }] }),
    ['a', 'b'],
  );
  for (const odd of [undefined, {}, { credentials: 'x' }, { credentials: [null, 1, { secret: 2 }] }]) {
    t.deepEqual(named(odd), []);
  }
});
