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
    leaf,
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
    'Secret registry-mirror-hub-secret',
    'StatefulSet registry-mirror-hub',
    'DaemonSet registry-mirror-hub-utils',
  ]);
});

test('What needs an address is left out while there is none', (t) => {
  const made = names(inputs({ clusterIPs: [], issuer: true }));
  t.false(made.some((name) => /^(DaemonSet|Certificate) /.test(name)));
});

test('With cert-manager’s Issuer its Certificate is asked for', (t) => {
  t.true(names(inputs({ issuer: true })).includes('Certificate registry-mirror-hub'));
});

test('A given certificate serves its names, our leaf the others; the one with the address is the default', (t) => {
  const conf = file(inputs({ given: { secret: 's', names: ['mirror-docker.io'] } }), 'default.conf');
  t.true(conf.indexOf('tls/tls.crt') < conf.indexOf('tls-given/tls.crt'));
  const issued = file(inputs({ given: { secret: 's', names: ['10.96.0.7'] } }), 'default.conf');
  t.true(issued.indexOf('tls-given/tls.crt') < issued.indexOf('tls/tls.crt'));
  t.notRegex(file(inputs({ given: { secret: 's', names: [] } }), 'default.conf'), /tls-given/);
});

test('A configuration that is kept stays as it is, only what nodes trust is new', (t) => {
  const keptFiles = { 'nginx.conf': 'a', 'default.conf': 'b', 'broker.json': 'c' };
  const composition = inputs({ keptFiles });
  t.is(file(composition, 'default.conf'), 'b');
  t.is(file(composition, 'ca.crt'), 'BUNDLE');
});

test('The same inputs give the same objects', (t) => {
  const [one, other] = [desiredObjects(inputs()), desiredObjects(inputs())];
  t.deepEqual(one, other);
  const objects = one.flatMap((phase) => phase.objects);
  for (const object of objects) t.is(difference(object, object, { manager: 'x' }), undefined);
});
