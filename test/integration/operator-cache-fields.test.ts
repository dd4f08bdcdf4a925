/** What the fields about caches do to running mirrors, on a real API server: what rolls pods, what is followed, what is refused. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import test from 'ava';
import { eventually } from '../support/eventually.ts';
import { type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';

let world: World;
test.before(async () => {
  world = await startWorld();
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

const secretPath = (name: string) => `/api/v1/namespaces/default/secrets/${name}`;

function secret(name: string, stringData: Record<string, string>): Promise<Live> {
  const metadata = { name, namespace: 'default' };
  return world.plane.apply({ apiVersion: 'v1', kind: 'Secret', metadata, stringData } as Live);
}

async function brokerConfig(name: string): Promise<Live> {
  const { data } = await world.get(pathsOf(name).configSecret);
  return JSON.parse(Buffer.from(data['broker.json'], 'base64').toString());
}

async function template(name: string): Promise<Live> {
  return (await world.get(pathsOf(name).statefulSet)).spec.template;
}

test.serial('Scaling changes who the replicas know, and no pod', async (t) => {
  world.start();
  await world.mirror('scale', { upstreamUrl: 'scale.example', replicas: 1 });
  await world.settled('scale');
  const before = await template('scale');
  const names = async () => (await brokerConfig('scale')).peers.replicas.map(({ name }: Live) => name);
  t.deepEqual(await names(), ['registry-mirror-scale-0']);

  await world.patch(`${pathsOf('scale').mirror}/scale`, { spec: { replicas: 3 } });
  await eventually(async () => assert.equal((await names()).length, 3));
  const { host, port } = (await brokerConfig('scale')).peers.replicas[2];
  t.is(host, 'registry-mirror-scale-2.registry-mirror-scale-headless.default.svc');
  t.is(port, 5002);
  await eventually(async () =>
    assert.equal((await world.get(pathsOf('scale').statefulSet)).spec.replicas, 3),
  );
  t.deepEqual(await template('scale'), before);
});

test.serial(
  'A change of the list of credentials rolls the pods once, a change of a Secret never',
  async (t) => {
    world.start();
    await secret('all', { token: 'first-token' });
    await secret('team', { username: 'u', password: 'first-password' });
    const credentials = [{ secret: 'all' }, { prefix: 'team/a', secret: 'team' }];
    await world.mirror('list', { upstreamUrl: 'list.example', credentials });
    const { message } = await world.condition('list', 'CredentialsValid', 'SharedByDefault');
    t.regex(message, /Secrets all, team have credentials; .*whoever reaches the mirror may read/);
    const told = async () =>
      (await world.warnings('list')).filter(({ reason }) => reason === 'SharedByDefault').length;
    t.is(await told(), 1);
    const { generation } = (await world.get(pathsOf('list').statefulSet)).metadata;
    t.deepEqual((await brokerConfig('list')).mirrors[0].credentials, [
      { prefix: '', dir: '/etc/registry-mirror/credentials/list.example' },
      { prefix: 'team/a', dir: '/etc/registry-mirror/prefixed-credentials/team~a/list.example' },
    ]);

    await secret('team', { username: 'u', password: 'second-password' });
    await world.delete(secretPath('all'));
    const lost = await world.condition('list', 'CredentialsValid', 'SecretNotFound');
    t.regex(lost.message, /default\/all does not exist/);
    t.notRegex(lost.message, /team/);
    await secret('all', { token: 'second-token' });
    await world.condition('list', 'CredentialsValid', 'SharedByDefault');
    t.is((await world.get(pathsOf('list').statefulSet)).metadata.generation, generation);
    t.is(await told(), 1, 'it was told before');

    await world.patch(pathsOf('list').mirror, {
      spec: { access: 'shared', credentials: [...credentials, { prefix: 'team/b', secret: 'team' }] },
    });
    await world.condition('list', 'CredentialsValid', 'Valid');
    await world.quiet();
    t.is((await world.get(pathsOf('list').statefulSet)).metadata.generation, generation + 1);
  },
);

test.serial(
  'An ephemeral cache has no claim; neither kind becomes the other while the set stands',
  async (t) => {
    world.start();
    const small = { spec: { resources: { requests: { storage: '5Gi' } } } };
    await world.mirror('brief', {
      upstreamUrl: 'brief.example',
      storage: 'ephemeral',
      volumeClaimTemplate: small,
    });
    await world.settled('brief');
    const paths = pathsOf('brief');
    const store = async () =>
      (await template('brief')).spec.volumes.find(({ name }: Live) => name === 'image-store');
    t.deepEqual((await store()).emptyDir, { sizeLimit: '5Gi' });
    t.is((await world.get(paths.statefulSet)).spec.volumeClaimTemplates, undefined);
    t.is((await brokerConfig('brief')).mirrors[0].maxSizeMiB, 4096, 'four fifths');

    const { uid } = (await world.get(paths.statefulSet)).metadata;
    await world.patch(paths.mirror, { spec: { storage: 'persistent' } });
    const refused = await world.condition('brief', 'Stalled', 'ClaimTemplateImmutable');
    t.regex(refused.message, /was made ephemeral.* delete the StatefulSet/);
    t.deepEqual((await store()).emptyDir, { sizeLimit: '5Gi' });
    t.is((await world.get(paths.statefulSet)).metadata.uid, uid);

    await world.delete(paths.statefulSet);
    await world.condition('brief', 'Stalled', 'Working');
    const made = (await world.get(paths.statefulSet)).spec;
    t.is(made.volumeClaimTemplates[0].spec.resources.requests.storage, '5Gi');
    await world.patch(paths.mirror, { spec: { storage: 'ephemeral' } });
    t.regex(
      (await world.condition('brief', 'Stalled', 'ClaimTemplateImmutable')).message,
      /was made persistent.* claims are left to you/,
    );
  },
);

test.serial('Node agents have a certificate; a mirror asks for it as long as it is told to', async (t) => {
  world.start();
  await world.mirror('ask', { upstreamUrl: 'ask.example', nodes: { clientCertificate: true } });
  await world.settled('ask');
  const paths = pathsOf('ask');
  const file = async (path: string, key: string) =>
    Buffer.from((await world.get(path)).data[key], 'base64').toString();
  const client = secretPath('registry-mirror-ask-client');
  const shown = new X509Certificate(await file(client, 'tls.crt'));
  t.is(shown.subject, 'CN=registry-mirror-ask.node');
  t.is(shown.subjectAltName, 'DNS:registry-mirror-ask.node');
  t.deepEqual(shown.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'], 'for servers and clients');
  const accepted = new X509Certificate(await file(paths.leafSecret, 'peer-ca.crt'));
  t.true(shown.verify(accepted.publicKey));
  t.regex(
    await file(paths.configSecret, 'default.conf'),
    /ssl_client_certificate [^;]+;\s+ssl_verify_client optional/,
  );
  const { message } = await world.condition('ask', 'CertificateValid', 'OwnAuthority');
  t.regex(message, /who dials the Service, .* has none and is refused/);

  await world.patch(paths.mirror, { spec: { nodes: { clientCertificate: false } } });
  await eventually(async () => {
    const { message: now } = await world.condition('ask', 'CertificateValid', 'OwnAuthority');
    assert.doesNotMatch(now, /has none and is refused/);
  });
  t.notRegex(await file(paths.configSecret, 'default.conf'), /ssl_verify_client optional/);
  t.truthy(await world.find(client), 'the operator asks agents by it all the same');
});

test.serial(
  'Authorities, a proxy and a bound that is too large are said where they are to be mended',
  async (t) => {
    const proxy = { HTTPS_PROXY: 'http://proxy.example:3128', NO_PROXY: '.svc,10.0.0.0/8' };
    world.start(proxy);
    await world.mirror('edge', {
      upstreamUrl: 'edge.example',
      upstreamCA: { name: 'edge-ca' },
      cache: { maxSize: '30Gi' },
    });
    const missing = await world.condition('edge', 'Stalled', 'UpstreamCANotFound');
    t.regex(missing.message, /default\/edge-ca of spec\.upstreamCA does not exist or has no key ca\.crt/);
    const { status } = await world.get(pathsOf('edge').mirror);
    const available = status.conditions.find(({ type }: Live) => type === 'CacheAvailable');
    t.regex(
      available.message,
      /cache\.maxSize 30Gi is more than 80 % of the volume: the cache keeps to 16384Mi/,
    );
    const [mirror] = (await brokerConfig('edge')).mirrors;
    t.deepEqual(mirror.egressProxy, { url: proxy.HTTPS_PROXY, noProxy: ['.svc', '10.0.0.0/8'] });
    t.deepEqual(mirror.caFiles, ['/etc/registry-mirror/mirror-ca/ca.crt']);
    t.is(mirror.maxSizeMiB, 16384);
  },
);
