/**
 * Versions that meet: an operator and pods (caches and agents) of another version, as they run beside each other for as long as an upgrade or its
 * taking back takes, and for as long as somebody has it stop half-way.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { ownImage } from '../image/program.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { eventually } from '../support/eventually.ts';
import { deployFolder, kustomizeBuild } from '../support/kustomize.ts';
import { BeforeInstall } from './before-install.ts';
import { claimsOf } from './cache-volumes.ts';
import { type EarlierVersion, earlierVersion, hasEarlierVersion } from './earlier-version.ts';
import { type InstalledCluster, installedCluster, mirrorPath, operatorLabels } from './installed-cluster.ts';

const host = 'registry.example';
const [name, guest] = ['hub', 'guest.example'];
/** Agents of before hear of a new list from their kubelets: up to 95 s late, twice for what comes and goes. */
const late = { timeout: 150_000, interval: 200 };
let world: InstalledCluster;
let earlier: EarlierVersion;
let before: BeforeInstall;

interface Installation {
  readonly deploy: string;
  /** Images of the operator, and of what it makes. */
  readonly operator: string;
  readonly pods: string;
}

const serial = hasEarlierVersion() ? test.serial : test.serial.skip;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and images may have to be built first');
  if (!hasEarlierVersion()) return;
  earlier = await earlierVersion();
  world = await installedCluster({ name: 'versions', upstreams: [host], volumes: 1, install: false });
  await world.cluster.importImage(earlier.archive);
  before = await BeforeInstall.of(world.cluster);
});
test.after.always(async () => {
  earlier?.[Symbol.dispose]();
  await world?.cluster.stop();
});

serial('an operator of before works with caches and agents of now', async (t) => {
  await install({ deploy: earlier.deploy, operator: earlier.image, pods: ownImage });
  await world.mirror(name, { upstreamUrl: host, nodes: { wire: 'transparent' } });
  await assertMirrors(t, 'first');
  await assertGuest(t);
});

serial('an operator of now works with caches and agents of before', async (t) => {
  await install({ deploy: deployFolder, operator: ownImage, pods: earlier.image });
  await untilPodsRun(earlier.image);
  await assertMirrors(t, 'second');
  await assertKept(t, 'first');
  await assertGuest(t);
});

serial('all of now, what was cached is a hit, and nodes are given back', async (t) => {
  const claims = await claimsOf(world.cluster, name);
  await install({ deploy: deployFolder, operator: ownImage, pods: ownImage });
  await untilPodsRun(ownImage);
  await assertMirrors(t, 'third');
  for (const image of ['first', 'second']) await assertKept(t, image);
  await world.untilReconciled(name);
  const uids = (objects: readonly KubeObject[]) => objects.map(({ metadata }) => metadata.uid);
  t.deepEqual(uids(await claimsOf(world.cluster, name)), uids(claims));
  await world.cluster.adminFetch(mirrorPath(name), { method: 'DELETE' });
  await world.untilNoMirrors();
  before.assertNodesAsBefore(t);
});

/** Applies the manifests of a version with these images, and waits until two of its operators run and no other. */
async function install({ deploy, operator, pods }: Installation): Promise<void> {
  const { cluster } = world;
  for (const object of await kustomizeBuild([], {}, deploy))
    await eventually(() => cluster.apply(withImages(object, operator, pods)));
  await cluster.apply(world.authorityObject());
  await eventually(
    async () => {
      const operators = await cluster.pods.waitFor({ labels: operatorLabels, count: 2 });
      for (const { metadata, spec } of operators) assert.equal(imageOf(spec), operator, metadata.name);
    },
    { timeout: 90_000, interval: 500 },
  );
}

function withImages(object: KubeObject, operator: string, pods: string): KubeObject {
  if (object.kind !== 'Deployment') return object;
  const copy = structuredClone(object) as KubeObject & { spec: { template: { spec: PodSpec } } };
  const [container] = copy.spec.template.spec.containers;
  assert.ok(container);
  container.image = operator;
  const others = container.env?.filter(({ name: variable }) => variable !== 'OPERATOR_IMAGE') ?? [];
  // An operator of now makes pods of its own image where it is told nothing.
  const told = pods === ownImage && operator === ownImage ? [] : [{ name: 'OPERATOR_IMAGE', value: pods }];
  container.env = [...others, ...told];
  return copy;
}

/** Caches and agents are all of this image and Ready. */
async function untilPodsRun(image: string): Promise<void> {
  await eventually(
    async () => {
      const own = {
        labels: `app=docker-registry,app.kubernetes.io/name!=registry-mirror-operator`,
        count: 4,
      };
      for (const { metadata, spec } of await world.cluster.pods.waitFor(own))
        assert.equal(imageOf(spec), image, metadata.name);
    },
    { timeout: 180_000, interval: 500, message: `Pods did not come to run ${image}` },
  );
}

function imageOf({ containers }: object & { containers: { name: string }[] }): string | undefined {
  return (containers[0] as { image?: string } | undefined)?.image;
}

/** Pulls of a new image on both nodes reach the mirror, and none the upstream. */
async function assertMirrors(t: ExecutionContext, repository: string): Promise<void> {
  await world.untilServing(name);
  await world.push(host, repository);
  const mark = world.mark(host);
  for (const node of world.cluster.nodes) await node.pull(`${host}/${repository}:1`);
  t.true(world.blobRequests(host, mark).length > 0, repository);
  t.deepEqual(world.directRequests(host, mark), []);
}

/** An image that was cached by the other version is not downloaded again. */
async function assertKept(t: ExecutionContext, repository: string): Promise<void> {
  await world.forget(`${host}/${repository}`);
  const mark = world.mark(host);
  for (const node of world.cluster.nodes) await node.pull(`${host}/${repository}:1`);
  t.deepEqual(world.blobRequests(host, mark), [], repository);
  t.deepEqual(world.directRequests(host, mark), []);
}

/** A mirror that comes is wired on both nodes, and taken back before it goes. */
async function assertGuest(t: ExecutionContext): Promise<void> {
  const wired = () =>
    world.cluster.nodes.map((node) => existsSync(node.path(`/etc/containerd/certs.d/${guest}/hosts.toml`)));
  await world.mirror('guest', { upstreamUrl: guest, replicas: 1, nodes: { wire: 'transparent' } });
  await eventually(() => assert.deepEqual(wired(), [true, true]), late);
  await world.cluster.adminFetch(mirrorPath('guest'), { method: 'DELETE' });
  await eventually(() => assert.rejects(world.getMirror('guest'), { code: 404 }), late);
  t.deepEqual(wired(), [false, false]);
}

interface PodSpec {
  readonly containers: { name: string; image?: string; env?: { name: string; value?: string }[] }[];
}
