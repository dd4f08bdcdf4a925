/**
 * From mirror-operator to ours, as docs/migrating-from-mirror-operator.md says: with the environment that it had, which means a DaemonSet for
 * each mirror; at the end with agents that all mirrors share.
 */
import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { mirrorOf } from '../../src/node/managed-file.ts';
import type { ClusterNode } from '../cluster/node.ts';
import type { PodObject } from '../cluster/pods.ts';
import { ownImage } from '../image/program.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { eventually } from '../support/eventually.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import { BeforeInstall } from './before-install.ts';
import { cachedFiles, volumeFolders } from './cache-volumes.ts';
import { bytesOf, type InstalledCluster, installedCluster, mirrorPath, sizeOf } from './installed-cluster.ts';
import { identitiesOf, revisionsOf } from './mirror-identity.ts';
import { importOriginalImages, originalOperatorImage, originalUser } from './original-images.ts';
import {
  installOriginal,
  makeOriginalMirror,
  operatorDeployment,
  originalRights,
  selfSigned,
} from './original-installation.ts';
import { countByPlace, incarnation, PodHistory } from './pod-history.ts';

const host = 'registry.example';
const alias = `mirror-${host}`;
const name = 'hub';
/** Upgraded to agents that all mirrors share. */
const other = 'shared';
const ofMirror = `mirror=${name}`;
const components = { caches: 'registry', agents: 'hostess-certificate' };
/** For so long nothing is to happen any more, in ms. */
const quiet = 20_000;
/** What a person changes in the Deployment. */
const upgraded = { image: ownImage, serviceAccountName: 'registry-mirror-operator' };
const dockerFolder = `/etc/docker/certs.d/${alias}`;
const mapPath = '/api/v1/namespaces/default/configmaps/imageswap-maps';
const document = join(import.meta.dirname, '../../docs/migrating-from-mirror-operator.md');
const given = selfSigned(alias);
let world: InstalledCluster;
let before: BeforeInstall;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  world = await installedCluster({ name: 'upgrade', upstreams: [host], install: false });
  await importOriginalImages(world.cluster);
  // The original knows Docker alone: who had containerd had it trust the mirror himself.
  for (const node of world.cluster.nodes) {
    appendFileSync(node.path('/etc/ssl/certs/ca-certificates.crt'), given.certificate);
    await node.restartDaemon('containerd');
  }
  before = await BeforeInstall.of(world.cluster);
});
test.after.always(() => world?.cluster.stop());

test.serial('what mirror-operator made is taken over in one rolling update, and works on', async (t) => {
  const { cluster } = world;
  await installOriginal(cluster, { ...given, upstreamCA: world.authority.certificatePem });
  await makeOriginalMirror(cluster, { name, upstream: host });
  await untilRunning('caches', 2);
  await untilRunning('agents', 2);
  await fillCaches();
  for (const node of cluster.nodes) assertWiredByOriginal(t, node);
  const made = await identitiesOf(cluster, name);
  const files = await cachedByOriginal();
  const history = new PodHistory(cluster, ofMirror);
  const old = await cluster.pods.list({ labels: ofMirror });

  await upgrade();
  await untilOthers(old, ofMirror, 4);
  await world.untilServing(name);
  await sleep(quiet);
  await history.end();

  t.deepEqual(await identitiesOf(cluster, name), made);
  t.deepEqual(countByPlace(history.pods()), twiceEach());
  t.deepEqual(await revisionsOf(cluster, name), { statefulSet: 2, daemonSet: 2 });
  for (const [file, content] of Object.entries(files)) t.is(readFileSync(file, 'latin1'), content, file);
  for (const node of cluster.nodes) assertWired(t, node);
  await assertPulls(t, 'upgraded');
});

test.serial('a restart of the operator restarts nothing else', async (t) => {
  const { cluster } = world;
  const pods = await cluster.pods.list({ labels: ofMirror });
  const history = new PodHistory(cluster, ofMirror);
  const holder = await leader();
  const [operator] = await cluster.pods.list({ labels: 'app=mirror-operator' });
  await cluster.adminFetch(`/api/v1/namespaces/default/pods/${operator?.metadata.name}`, {
    method: 'DELETE',
  });
  await eventually(async () => assert.ok(!['', holder].includes(await leader())), {
    timeout: 60_000,
    interval: 200,
  });
  await sleep(quiet / 2);
  await history.end();
  t.deepEqual(history.pods().map(incarnation).sort(), pods.map(incarnation).sort());
  await assertPulls(t, 'restarted');
});

test.serial('what the original cached can be removed as documented', async (t) => {
  const command = /`kubectl exec \S+ -c broker -- sh -c '(.*)'`/.exec(readFileSync(document, 'utf8'))?.[1];
  assert.ok(command);
  for (const { metadata } of await untilRunning('caches', 2)) {
    const pod = { name: metadata.name, container: 'broker' };
    const { code, stderr } = await world.cluster.pods.exec(pod, ['sh', '-c', command]);
    t.is(code, 0, stderr);
  }
  const left = (await volumeFolders(world.cluster, name)).flatMap((folder) => readdirSync(folder));
  t.deepEqual(
    left.filter((entry) => /^[0-9a-f]$/.test(entry)),
    [],
  );
  t.true(left.length > 0, 'our cache');
});

test.serial('the mirror deleted, of nodes only what the original never took back is left', async (t) => {
  await world.cluster.adminFetch(mirrorPath(name), { method: 'DELETE' });
  await world.untilNoMirrors();
  assertNodesAsTheyWere(t);
});

test.serial('by agents that all mirrors share, those of the original end, and its lines go', async (t) => {
  const { cluster } = world;
  await runOperator({ image: originalOperatorImage });
  await makeOriginalMirror(cluster, { name: other, upstream: host });
  await untilRunning('caches', 2, other);
  const agents = await untilRunning('agents', 2, other);
  for (const node of cluster.nodes) await eventually(() => assert.equal(linesOf(node).length, 1));

  await runOperator({ ...upgraded, env: [{ name: 'NODE_DAEMONSETS', value: 'shared' }] });
  await eventually(
    async () => {
      const left = await cluster.pods.list({ labels: `mirror=${other},component=${components.agents}` });
      assert.deepEqual(left, []);
    },
    { timeout: 120_000, interval: 500, message: `${agents.length} agents of the original did not end` },
  );
  await world.untilServing(other);
  for (const node of cluster.nodes) assertWired(t, node, other);
  await assertPulls(t, 'shared');
  await cluster.adminFetch(mirrorPath(other), { method: 'DELETE' });
  await world.untilNoMirrors();
  assertNodesAsTheyWere(t);
});

test.serial(
  'with the rights that the original had the image alone may be replaced, the rights later',
  async (t) => {
    const { cluster } = world;
    for (const object of originalRights()) await cluster.apply(object);
    const original = { image: originalOperatorImage, serviceAccountName: 'mirror-operator' };
    await runOperator({ ...original, env: [{ name: 'NODE_DAEMONSETS', $patch: 'delete' }] });
    await makeOriginalMirror(cluster, { name: other, upstream: host });
    await untilRunning('caches', 2, other);
    await untilRunning('agents', 2, other);
    const made = await identitiesOf(cluster, other);
    const old = await cluster.pods.list({ labels: `mirror=${other}` });

    await runOperator({ image: ownImage });
    // For a minute it asks for its own pod, which it may not see.
    await untilOthers(old, `mirror=${other}`, 4, 240_000);
    for (const node of cluster.nodes) await eventually(() => assertWired(t, node, other));
    await assertPulls(t, 'old-rights');
    const unmarked = await cluster.adminFetch<KubeObject>(mirrorPath(other));
    t.is(unmarked.metadata.finalizers, undefined);

    await runOperator(upgraded);
    await world.untilServing(other);
    await assertPulls(t, 'new-rights');
    t.deepEqual(await identitiesOf(cluster, other), made);
    await cluster.adminFetch(mirrorPath(other), { method: 'DELETE' });
    await world.untilNoMirrors();
    assertNodesAsTheyWere(t);
  },
);

test.serial(
  'in scheme services the address stays, the map is not touched, and nodes pull on by it',
  async (t) => {
    const { cluster } = world;
    const scheme = { env: [{ name: 'ADDRESSING_SCHEME', value: 'services' }] };
    await runOperator({ image: originalOperatorImage, ...scheme });
    const address = await makeOriginalMirror(cluster, { name, upstream: host, scheme: 'services' });
    await cluster.apply(mapOfOriginal(address));
    await untilRunning('caches', 2);
    await untilRunning('agents', 2);
    const made = await identitiesOf(cluster, name);
    const map = await cluster.adminFetch<KubeObject>(mapPath);
    const old = await cluster.pods.list({ labels: ofMirror });

    await upgrade(['services']);
    await untilOthers(old, ofMirror, 4);
    await world.untilServing(name);
    t.deepEqual(await identitiesOf(cluster, name), made);
    t.deepEqual(await cluster.adminFetch(mapPath), map);
    for (const node of cluster.nodes) t.deepEqual(linesOf(node), []);
    await assertPulls(t, 'by-address', `${address}/${alias}`);

    await cluster.adminFetch(mirrorPath(name), { method: 'DELETE' });
    await world.untilNoMirrors();
    assertNodesAsTheyWere(t, [alias, address]);
  },
);

/** But for what the original made and never takes back: `names` are those by which nodes pulled. */
function assertNodesAsTheyWere(t: ExecutionContext, names = [alias]): void {
  const certificates = names.map((each) => `docker/certs.d/${each}`);
  const left = [
    'docker',
    'docker/certs.d',
    ...certificates,
    ...certificates.map((folder) => `${folder}/tls.crt`),
    'hosts.backup',
    'hosts.backup/hosts',
  ];
  for (const node of world.cluster.nodes) t.deepEqual(before.changedOn(node), left.sort(), node.name);
}

/** As the original wrote it for one mirror. */
function mapOfOriginal(address: string): KubeObject {
  const metadata = { name: 'imageswap-maps', namespace: 'default' };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata,
    data: { maps: `default:\n${alias}:${address}/${alias}\n` },
  };
}

/** Steps 1 and 2 of the document. */
async function upgrade(components: readonly string[] = []): Promise<void> {
  const { cluster } = world;
  const objects = await kustomizeBuild(components);
  for (const object of objects.filter(({ kind }) => !['Deployment', 'PodDisruptionBudget'].includes(kind)))
    await cluster.apply(object);
  await runOperator(upgraded);
}

/** Changes the Deployment as kubectl would, and waits until nothing runs that was before. */
async function runOperator(change: OperatorChange): Promise<void> {
  const { cluster } = world;
  const { metadata } = operatorDeployment();
  const path = `/apis/apps/v1/namespaces/default/deployments/${metadata.name}`;
  const old = await cluster.pods.list({ labels: 'app=mirror-operator' });
  const { serviceAccountName, ...container } = change;
  const containers = [{ name: 'mirror-operator', ...container }];
  const spec = { containers, ...(serviceAccountName !== undefined && { serviceAccountName }) };
  const contentType = 'application/strategic-merge-patch+json';
  await cluster.adminFetch(path, { method: 'PATCH', contentType, body: { spec: { template: { spec } } } });
  await untilOthers(old, 'app=mirror-operator', 1);
}

async function untilRunning(
  which: keyof typeof components,
  count: number,
  mirror = name,
): Promise<PodObject[]> {
  return await world.cluster.pods.waitFor(
    { labels: `mirror=${mirror},component=${components[which]}`, count },
    90_000,
  );
}

/** Until as many pods are Ready, and none of them is one of these. */
async function untilOthers(
  old: readonly PodObject[],
  labels: string,
  count: number,
  timeout = 120_000,
): Promise<void> {
  const were = old.map(({ metadata }) => metadata.uid);
  await eventually(
    async () => {
      for (const { metadata } of await world.cluster.pods.waitFor({ labels, count }))
        assert.ok(!were.includes(metadata.uid), metadata.name);
    },
    { timeout, interval: 500, message: `Pods ${labels} were not replaced` },
  );
}

/** Pulls through the original until each replica has cached something. */
async function fillCaches(): Promise<void> {
  let tries = 0;
  await eventually(
    async () => {
      tries += 1;
      await world.push(host, `old-${tries}`);
      for (const node of world.cluster.nodes) await node.pull(`${alias}/old-${tries}:1`);
      for (const folder of await volumeFolders(world.cluster, name))
        assert.ok(cachedFiles(folder).length > 0, `${folder} is empty`);
    },
    { timeout: 60_000, interval: 500 },
  );
}

/** What is on the volumes, by path: readable by nobody but the original's nginx. */
async function cachedByOriginal(): Promise<Record<string, string>> {
  const files = (await volumeFolders(world.cluster, name)).flatMap(cachedFiles);
  for (const file of files) {
    const { mode, uid } = statSync(file);
    assert.deepEqual([(mode & 0o777).toString(8), uid], ['600', originalUser]);
  }
  return Object.fromEntries(files.map((file) => [file, readFileSync(file, 'latin1')]));
}

/** Each pod and its one successor, by their places. */
function twiceEach(): Record<string, number> {
  const agents = world.cluster.nodes.map((node) => `registry-mirror-${name}-utils on ${node.name}`);
  const places = [`registry-mirror-${name}-0`, `registry-mirror-${name}-1`, ...agents];
  return Object.fromEntries(places.map((place) => [place, 2]));
}

/** In the original's own form. */
function assertWiredByOriginal(t: ExecutionContext, node: ClusterNode): void {
  t.regex(linesOf(node).join('\n'), new RegExp(`^[\\d.]+\\t${alias}$`), node.name);
  t.is(readFileSync(node.path(`${dockerFolder}/tls.crt`), 'utf8'), given.certificate);
  t.false(linesOf(node, '/etc/hosts.backup/hosts').length > 0, 'a copy from before');
}

/** Ours has taken the line over; what Docker trusts is ours, beside what the original left. */
function assertWired(t: ExecutionContext, node: ClusterNode, mirror = name): void {
  const lines = linesOf(node);
  t.is(lines.length, 1, lines.join('\n'));
  t.regex(lines[0] ?? '', new RegExp(`\\t# registry-mirror-operator: ${mirror}$`), node.name);
  const trusted = readFileSync(node.path(`${dockerFolder}/ca.crt`));
  t.is(mirrorOf(trusted), mirror);
  t.true(trusted.includes(given.certificate.trim()), 'the certificate that the original was given serves on');
}

/** The lines of a hosts file that name the alias. */
function linesOf(node: ClusterNode, file = '/etc/hosts'): string[] {
  const names = (line: string) => (line.split('#', 1)[0] ?? '').trim().split(/\s+/).slice(1);
  return readFileSync(node.path(file), 'utf8')
    .split('\n')
    .filter((line) => names(line).includes(alias));
}

/** Both nodes get a new image by the alias, or what else they pull by: from the mirror, which downloads it once. */
async function assertPulls(t: ExecutionContext, repository: string, by = alias): Promise<void> {
  const image = await world.push(host, repository);
  const mark = world.mark(host);
  for (const node of world.cluster.nodes) await node.pull(`${by}/${repository}:1`);
  const bytes = bytesOf(world.blobRequests(host, mark));
  t.true(bytes > 1_000_000 && bytes <= sizeOf(image), `${bytes} bytes`);
  t.deepEqual(world.directRequests(host, mark), []);
}

async function leader(): Promise<string> {
  const { items } = await world.cluster.adminFetch<{ items: LeaseObject[] }>(
    '/apis/coordination.k8s.io/v1/namespaces/default/leases',
  );
  return items.map(({ spec }) => spec.holderIdentity ?? '').join();
}

interface OperatorChange {
  readonly image: string;
  readonly serviceAccountName?: string;
  readonly env?: readonly object[];
}

interface LeaseObject extends KubeObject {
  readonly spec: { readonly holderIdentity?: string };
}
