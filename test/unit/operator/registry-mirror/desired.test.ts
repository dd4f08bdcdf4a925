import test from 'ava';
import { type CompositionInputs, desiredObjects } from '../../../../src/operator/registry-mirror/desired.ts';
import { difference } from '../../../../src/operator/registry-mirror/differs.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const leaf = { certificate: 'CERTIFICATE', key: 'KEY', ca: 'CA' };

function inputs(more: Partial<CompositionInputs> = {}): CompositionInputs {
  return {
    mirror: mirrorOf({ upstreamUrl: 'docker.io' }, { uid: 'u' }),
    settings: settingsOf(),
    clusterIPs: ['10.96.0.7'],
    nodePort: 29001,
    leaf,
    client: leaf,
    leafOptions: { authorities: 'CA' },
    trustBundle: 'BUNDLE',
    issuer: false,
    ...more,
  };
}

function names(composition: CompositionInputs): string[] {
  return desiredObjects(composition).flatMap(({ objects }) =>
    objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
  );
}

function file(composition: CompositionInputs, name: string): string {
  const objects = desiredObjects(composition).find(({ phase }) => phase === 'configuration')?.objects;
  const data = objects?.[0]?.['data'] as Record<string, string>;
  return Buffer.from(data[name] ?? '', 'base64').toString();
}

test('A mirror becomes its objects in the order in which they need each other', (t) => {
  t.deepEqual(names(inputs()), [
    'Service registry-mirror-hub',
    'Service registry-mirror-hub-headless',
    'Secret registry-mirror-hub-leaf',
    'Secret registry-mirror-hub-client',
    'Secret registry-mirror-hub-secret',
    'StatefulSet registry-mirror-hub',
    'PodDisruptionBudget registry-mirror-hub',
    'DaemonSet registry-mirror-hub-utils',
  ]);
});

test('What needs an address is left out while there is none', (t) => {
  const made = names(inputs({ clusterIPs: [], issuer: true }));
  t.false(made.some((name) => /^(DaemonSet|Certificate) /.test(name)));
});

test('Without a port no node is wired, and the cache is made all the same', (t) => {
  const { nodePort: _none, ...rest } = inputs();
  const made = names(rest);
  t.true(made.includes('StatefulSet registry-mirror-hub'));
  t.false(made.some((name) => name.startsWith('DaemonSet ')));
});

test('A mirror called like the operator leaves it its budget', (t) => {
  const made = names(inputs({ mirror: mirrorOf({ upstreamUrl: 'docker.io' }, { name: 'operator' }) }));
  t.true(made.includes('StatefulSet registry-mirror-operator'));
  t.false(made.some((name) => name.startsWith('PodDisruptionBudget ')));
});

test('With cert-manager’s Issuer its Certificate is asked for', (t) => {
  t.true(names(inputs({ issuer: true })).includes('Certificate registry-mirror-hub'));
});

test('A given certificate serves its names, our leaf the others; the one with the address is the default', (t) => {
  const conf = file(inputs({ given: { secret: 's', names: ['mirror-docker.io'] } }), 'default.conf');
  t.true(conf.indexOf('tls/tls.crt') < conf.indexOf('tls/given.crt'));
  const issued = file(inputs({ given: { secret: 's', names: ['10.96.0.7'] } }), 'default.conf');
  t.true(issued.indexOf('tls/given.crt') < issued.indexOf('tls/tls.crt'));
  t.notRegex(file(inputs({ given: { secret: 's', names: [] } }), 'default.conf'), /given/);
});

test('Pods mount one Secret: a given certificate lies in it beside the leaf', (t) => {
  const given = { certificate: 'GIVEN', key: 'ITS KEY', authority: 'ITS CA' };
  const composition = inputs({
    leafOptions: { authorities: 'CA', given },
    given: { secret: 'user', names: ['mirror-docker.io'] },
  });
  const objects = desiredObjects(composition).flatMap((phase) => phase.objects);
  const [leafObject] = objects.filter(({ metadata }) => metadata.name.endsWith('-leaf'));
  t.is(leafObject?.['type'], 'kubernetes.io/tls');
  t.deepEqual(Object.keys(leafObject?.['data'] as object).sort(), [
    'ca.crt',
    'given-ca.crt',
    'given.crt',
    'given.key',
    'peer-ca.crt',
    'tls.crt',
    'tls.key',
  ]);
  const set = objects.find(({ kind }) => kind === 'StatefulSet');
  const without = desiredObjects(inputs()).flatMap((phase) => phase.objects);
  t.deepEqual(
    set,
    without.find(({ kind }) => kind === 'StatefulSet'),
    'no pod is restarted for it',
  );
});

test('The agents are restarted by another authority and by no other certificate', (t) => {
  const agents = (more: Partial<CompositionInputs>) =>
    JSON.stringify(desiredObjects(inputs(more)).find(({ phase }) => phase === 'nodes')?.objects);
  const before = agents({ authorityMark: 'one' });
  t.not(agents({ authorityMark: 'two' }), before);
  const given = { secret: 'user', names: ['mirror-docker.io'] };
  const others = { given, trustBundle: 'OTHER', leaf: { certificate: 'a', key: 'b', ca: 'c' } };
  t.is(agents({ authorityMark: 'one', ...others }), before);
});

test('The same inputs give the same objects', (t) => {
  const [one, other] = [desiredObjects(inputs()), desiredObjects(inputs())];
  t.deepEqual(one, other);
  const objects = one.flatMap((phase) => phase.objects);
  for (const object of objects) t.is(difference(object, object, { manager: 'x' }), undefined);
});
