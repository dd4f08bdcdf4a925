import assert from 'node:assert/strict';
import test from 'ava';
import { createAuthority, issueLeaf } from '../../src/cache/tls/authority.ts';
import { inspectCertificate, signedBy } from '../../src/cache/tls/certificate.ts';
import { replicaIdentity } from '../../src/operator/certificates/leaf.ts';
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

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const ago = (ms: number) => new Date(Date.now() - ms);
const secretPath = (name: string) => `/api/v1/namespaces/default/secrets/${name}`;
const caPath = secretPath('registry-mirror-ca');
const encoded = (files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));

async function file(path: string, key: string): Promise<string> {
  return Buffer.from((await world.get(path)).data?.[key] ?? '', 'base64').toString();
}

function authorityAt(now: Date) {
  return createAuthority({ commonName: 'test', days: 3650, now });
}

function secret(name: string, files: Record<string, string>) {
  return world.plane.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'default' },
    data: encoded(files),
  } as Live);
}

/** As the DaemonSet's controller would report the newest generation. */
async function reportAgents(name: string, ready: number): Promise<void> {
  const path = pathsOf(name).daemonSet;
  const { generation } = (await world.get(path)).metadata;
  await world.patch(`${path}/status`, {
    status: {
      observedGeneration: generation,
      desiredNumberScheduled: 2,
      currentNumberScheduled: 2,
      updatedNumberScheduled: 2,
      numberMisscheduled: 0,
      numberReady: ready,
    },
  });
}

async function agentsMark(name: string): Promise<string> {
  const { annotations } = (await world.get(pathsOf(name).daemonSet)).spec.template.metadata;
  return annotations['k8s.osp.tech/authority'];
}

/** Puts an authority and a leaf of it into the place of those in force, as if they had been made by then. */
async function replaceAuthority(name: string, authority: Live, now: Date): Promise<string> {
  const { leafSecret } = pathsOf(name);
  const { names } = inspectCertificate(await file(leafSecret, 'tls.crt'));
  const leaf = await issueLeaf(authority, { names, ...replicaIdentity(name), days: 365, now });
  const files = {
    'tls.crt': leaf.certificatePem,
    'tls.key': leaf.keyPem,
    'ca.crt': authority.certificatePem,
  };
  await world.patch(leafSecret, { data: encoded(files) });
  const ca = { 'tls.crt': authority.certificatePem, 'tls.key': authority.keyPem };
  await world.patch(caPath, { data: encoded(ca) });
  return leaf.certificatePem;
}

test.serial('A renewed authority is shipped first; the leaf follows when all agents have it', async (t) => {
  const first = world.start();
  await world.mirror('turn', { upstreamUrl: 'turn.example' });
  await world.settled('turn');
  await reportAgents('turn', 2);
  await world.quiet();
  await first.stop();
  const paths = pathsOf('turn');
  const old = await authorityAt(ago(2_500 * dayMs));
  const oldLeaf = await replaceAuthority('turn', old, ago(hourMs));
  const oldMark = await agentsMark('turn');

  world.start();
  const waiting = await eventually(async () => {
    const { status } = await world.get(paths.mirror);
    const { message } = status.conditions.find(({ type }: Live) => type === 'CertificateValid');
    assert.match(message, /a renewed authority signs when the agents of all nodes trust it/);
    return message as string;
  });
  t.log(waiting);
  await world.quiet();
  const renewed = await file(caPath, 'tls.crt');
  t.not(renewed, old.certificatePem);
  const bundle = await file(paths.configSecret, 'ca.crt');
  t.true(bundle.includes(renewed.trim()) && bundle.includes(old.certificatePem.trim()));
  const newMark = await agentsMark('turn');
  t.not(newMark, oldMark, 'the agents are restarted');
  t.is(await file(paths.leafSecret, 'tls.crt'), oldLeaf);

  await reportAgents('turn', 1);
  await world.quiet();
  t.is(await file(paths.leafSecret, 'tls.crt'), oldLeaf, 'one agent is not ready');
  await reportAgents('turn', 2);
  await world.quiet();
  t.is(await file(paths.leafSecret, 'tls.crt'), oldLeaf, 'pods have not had the time to read what to trust');
  const peers = await file(paths.leafSecret, 'peer-ca.crt');
  t.true(peers.includes(renewed.trim()) && peers.includes(old.certificatePem.trim()));
  world.proxy.reset();
  const given = { 'k8s.osp.tech/authority-since': `${newMark} ${ago(hourMs / 10).toISOString()}` };
  await world.patch(paths.configSecret, { metadata: { annotations: given } });
  await eventually(async () => assert.ok(signedBy(await file(paths.leafSecret, 'tls.crt'), renewed)));
  await world.condition('turn', 'CertificateValid', 'OwnAuthority');
  await world.quiet();
  t.log(world.proxy.requests.map(({ verb, path }) => `${verb} ${path}`).join('\n'));
  const { managedFields } = (await world.get(paths.configSecret)).metadata;
  const ours = managedFields.filter(({ manager }: Live) => manager === 'registry-mirror-operator');
  t.false(JSON.stringify(ours).includes('authority-since'), 'the wait is over');
  const followed = await file(paths.configSecret, 'ca.crt');
  t.true(followed.includes(old.certificatePem.trim()), 'pods may still serve the old leaf');

  const { names } = inspectCertificate(await file(paths.leafSecret, 'tls.crt'));
  const keyPem = await file(caPath, 'tls.key');
  const pair = { certificatePem: renewed, keyPem };
  const aged = await issueLeaf(pair, { names, ...replicaIdentity('turn'), days: 365, now: ago(2 * hourMs) });
  await world.patch(paths.leafSecret, {
    data: encoded({ 'tls.crt': aged.certificatePem, 'tls.key': aged.keyPem }),
  });
  await eventually(async () => {
    const left = await file(paths.configSecret, 'ca.crt');
    assert.ok(left.includes(renewed.trim()) && !left.includes(old.certificatePem.trim()));
  });
  await world.quiet();
  t.is(await agentsMark('turn'), newMark, 'the end of the old authority restarts nothing');
  t.is(await file(paths.leafSecret, 'tls.crt'), aged.certificatePem);
});

test.serial(
  'After the wait the leaf changes all the same, and the nodes that are behind are named',
  async (t) => {
    const paths = pathsOf('late');
    const first = world.start();
    await world.mirror('late', { upstreamUrl: 'late.example' });
    await world.settled('late');
    await reportAgents('late', 2);
    await world.quiet();
    await first.stop();
    await agentPod('late', 'node-b');
    await agentPod('late', 'node-a');
    const leafBefore = await file(paths.leafSecret, 'tls.crt');
    const renewed = await authorityAt(ago(2 * hourMs));
    const files = { 'tls.crt': renewed.certificatePem, 'tls.key': renewed.keyPem };
    await world.patch(caPath, { data: encoded(files) });
    world.start();
    const since = 'k8s.osp.tech/authority-since';
    const mark = await eventually(async () => {
      const { annotations } = (await world.get(paths.configSecret)).metadata;
      assert.ok(annotations?.[since]);
      return annotations[since].split(' ')[0] as string;
    });
    await world.quiet();
    t.is(await file(paths.leafSecret, 'tls.crt'), leafBefore, 'an old authority is new to the nodes');

    world.proxy.reset();
    const annotations = { [since]: `${mark} ${ago(hourMs).toISOString()}` };
    await world.patch(paths.configSecret, { metadata: { annotations } });
    const { message, status } = await world.condition('late', 'CertificateValid', 'AgentsBehind');
    t.is(status, 'True');
    t.regex(message, /on nodes: node-a, node-b/);
    t.true(signedBy(await file(paths.leafSecret, 'tls.crt'), renewed.certificatePem));
    const warned = (await world.warnings('late')).filter(({ reason }) => reason === 'AgentsBehind');
    t.is(warned.length, 1);
    await world.quiet();
    const lists = world.proxy.requests.filter(({ path }) => path.includes('/pods'));
    t.log(
      `${lists.length} lists of pods, for ${(await world.get('/apis/k8s.osp.tech/v1/registrymirrors')).items.length} mirrors`,
    );

    await reportAgents('late', 2);
    const mended = await world.condition('late', 'CertificateValid', 'OwnAuthority');
    t.notRegex(mended.message, /node-a/);
    await world.quiet();
    t.is((await world.get(paths.leafSecret)).metadata.annotations, undefined);
  },
);

/** A pod as the DaemonSet's controller makes it; no kubelet ever reports it ready. */
function agentPod(mirror: string, nodeName: string): Promise<Live> {
  return world.plane.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `registry-mirror-${mirror}-utils-${nodeName}`,
      namespace: 'default',
      labels: { app: 'docker-registry', mirror, component: 'hostess-certificate' },
    },
    spec: {
      nodeName,
      automountServiceAccountToken: false,
      containers: [{ name: 'agent', image: 'registry.example/operator:1' }],
    },
  } as Live);
}

test.serial(
  'A given certificate outlives its Secret, with every change that is made meanwhile',
  async (t) => {
    const authority = await authorityAt(ago(hourMs));
    const issue = (days: number) => issueLeaf(authority, { names: ['given.example'], days });
    const [one, two] = await Promise.all([issue(90), issue(60)]);
    const ca = { 'ca.crt': authority.certificatePem };
    await secret('given-tls', { 'tls.crt': one.certificatePem, 'tls.key': one.keyPem, ...ca });
    const environment = { DOCKER_CERTIFICATE_SECRET: 'given-tls' };
    const first = world.start(environment);
    await world.mirror('given', { upstreamUrl: 'up.example', masqueradeUrl: 'given.example' });
    const { message } = await world.condition('given', 'CertificateValid', 'Given');
    t.regex(message, /does not cover up\.example/);
    const paths = pathsOf('given');
    const conf = await file(paths.configSecret, 'default.conf');
    t.regex(conf, /\/tls\/given\.crt/);
    t.is(await file(paths.leafSecret, 'given.crt'), one.certificatePem);
    t.is(await file(paths.leafSecret, 'given.key'), one.keyPem);
    const { volumes } = (await world.get(paths.statefulSet)).spec.template.spec;
    const mounted = volumes.map((volume: Live) => volume.secret?.secretName);
    t.false(mounted.includes('given-tls'), 'pods do not depend on the user’s Secret');

    await secret('given-tls', { 'tls.crt': two.certificatePem, 'tls.key': two.keyPem, ...ca });
    await eventually(async () => assert.equal(await file(paths.leafSecret, 'given.key'), two.keyPem), {
      timeout: 2_000,
    });

    await world.delete(secretPath('given-tls'));
    const gone = await world.condition('given', 'CertificateValid', 'SecretNotFound');
    t.regex(gone.message, /a copy of the last working one stays in force/);
    t.true((await world.warnings('given')).some(({ reason }) => reason === 'SecretNotFound'));
    await secret('given-tls', { 'tls.crt': one.certificatePem, 'tls.key': 'nonsense', ...ca });
    const unusable = await world.condition('given', 'CertificateValid', 'CertificateUnusable');
    t.regex(unusable.message, /tls\.key is not the key/);
    await world.delete(secretPath('given-tls'));
    await first.stop();

    const second = world.start(environment);
    await world.patch(paths.mirror, { spec: { cache: { tagTTL: '7m' } } });
    await eventually(async () => {
      const broker = JSON.parse(await file(paths.configSecret, 'broker.json'));
      assert.equal(broker.mirrors[0].tagTtlSeconds, 420);
    });
    t.regex(await file(paths.configSecret, 'default.conf'), /\/tls\/given\.crt/);
    t.is(await file(paths.leafSecret, 'given.key'), two.keyPem);
    t.true((await file(paths.configSecret, 'ca.crt')).includes(authority.certificatePem.trim()));
    await second.stop();

    const third = world.start();
    await eventually(async () => {
      assert.doesNotMatch(await file(paths.configSecret, 'default.conf'), /given\.crt/);
      const { data } = await world.get(paths.leafSecret);
      assert.deepEqual(Object.keys(data).sort(), ['ca.crt', 'peer-ca.crt', 'tls.crt', 'tls.key']);
    });
    const told = JSON.stringify([await world.get(paths.mirror), await world.warnings('given')]);
    for (const text of [first.log(), second.log(), third.log(), told]) {
      for (const { keyPem } of [one, two]) t.false(text.includes(keyPem.split('\n')[1] ?? 'PRIVATE KEY'));
      t.false(text.includes('PRIVATE KEY'));
    }
  },
);
