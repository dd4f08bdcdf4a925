/** In whatever order it is ended, nodes and cluster are as they were before the install. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { load } from 'js-yaml';
import type { ClusterNode } from '../cluster/node.ts';
import type { PodObject } from '../cluster/pods.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { objectPath } from '../kubernetes/object-path.ts';
import { startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { chartFolder, type HelmResult, helm } from '../support/helm.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import { objectsOf } from './cluster-objects.ts';
import { type InstalledCluster, installedCluster, mirrorPath } from './installed-cluster.ts';
import { differences, listingOf } from './node-listing.ts';

const host = 'registry.example';
const timeout = 90_000;
const crdPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/registrymirrors.k8s.osp.tech';
const restoreFile = join(import.meta.dirname, '../../examples/restore-node.yaml');
const ofPolicies = /registry-mirror-(background|foreground|orphan)/;
const claimKey = '/api/v1/persistentvolumeclaims default/';
const journal = '/var/lib/registry-mirror-operator';

let world: InstalledCluster;
let objectsBefore: Map<string, string>;
let nodesBefore: Map<string, string>[];

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  world = await installedCluster({ name: 'uninstall', upstreams: [host], install: false });
  for (const node of world.cluster.nodes) await lookOften(node);
  objectsBefore = await objectsOf(world.cluster);
  nodesBefore = nodeListings();
});
test.after.always(() => world?.cluster.stop());

test.serial('a mirror that is deleted gives its nodes back, whatever becomes of what it owns', async (t) => {
  await world.install();
  const policies = ['Background', 'Foreground', 'Orphan'];
  for (const policy of policies) await mirror(policy.toLowerCase());
  await world.untilServing(...policies.map((policy) => policy.toLowerCase()));
  assertWired(t);
  for (const policy of policies) {
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: policy };
    await world.cluster.adminFetch(mirrorPath(policy.toLowerCase()), { method: 'DELETE', body });
  }
  await untilNoMirrors();
  assertNodesAsBefore(t);
  await eventually(
    async () => {
      const left = [...(await objectsOf(world.cluster)).keys()].filter((key) => ofPolicies.test(key));
      const claims = left.filter((key) => key.startsWith(claimKey));
      assert.deepEqual(
        left.filter((key) => !claims.includes(key)),
        [],
      );
      assert.equal(claims.length, policies.length);
    },
    { timeout, interval: 500, message: 'More than volumes was left' },
  );
});

test.serial('its kind deleted, nodes are given back; made again, the operator goes on with it', async (t) => {
  await mirror('hub');
  await world.untilServing('hub');
  assertWired(t);
  const crd = (await kustomizeBuild([])).find(({ kind, metadata }) => isMirrorCrd(kind, metadata.name));
  await world.cluster.adminFetch(crdPath, { method: 'DELETE' });
  await untilAbsent(crdPath);
  assertNodesAsBefore(t);
  assert.ok(crd);
  await world.cluster.apply(crd);
  await mirror('hub');
  await world.untilServing('hub');
  assertWired(t);
});

test.serial('ended as it is documented, volumes are left', async (t) => {
  const { code, stdout, stderr } = await command(t, 'uninstall').ended;
  t.is(code, 0, stdout + stderr);
  assertNodesAsBefore(t);
  await deleteManifests();
  t.is((await command(t, 'uninstall', '--leftovers').ended).code, 0);
  await assertAsBefore(t);
});

test.serial('its namespace deleted first, what is documented then gives the nodes back', async (t) => {
  const namespace = 'registry-mirrors';
  await world.install(['namespace'], namespace);
  await mirror('hub');
  await world.untilServing('hub');
  await endObject(`/api/v1/namespaces/${namespace}`);
  assertWired(t);
  for (const path of await manifestPaths(['namespace'])) await deleteIfThere(path);
  for (const node of world.cluster.nodes) await restore(node);
  await letGo('hub');
  await assertAsBefore(t);
});

test.serial('ended with helm while there are mirrors, its kinds are left', async (t) => {
  const namespace = 'mirrors';
  const labels = { 'pod-security.kubernetes.io/enforce': 'privileged' };
  await world.cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } });
  await succeeds(t, helmIn('install', 'mirrors', chartFolder, '--namespace', namespace));
  await world.untilOperatorsRun(namespace);
  await world.cluster.apply(world.authorityObject(namespace));
  await mirror('hub');
  await world.untilServing('hub');
  assertWired(t);
  await succeeds(t, helmIn('uninstall', 'mirrors', '--namespace', namespace, '--timeout', '3m'));
  assertNodesAsBefore(t);
  await endObject(`/api/v1/namespaces/${namespace}`);
  const crds = (await kustomizeBuild([])).filter(({ kind }) => kind === 'CustomResourceDefinition');
  for (const crd of crds) await endObject(await pathOf(crd));
  await assertAsBefore(t);
});

test.serial('ended while both nodes are off, it goes on when they are back', async (t) => {
  const { nodes } = world.cluster;
  await world.install();
  await mirror('hub');
  await world.untilServing('hub');
  await Promise.all(nodes.map((node) => node.powerOff()));
  assertWired(t);
  const uninstall = command(t, 'uninstall');
  await eventually(async () =>
    assert.notEqual((await world.getMirror('hub')).metadata['deletionTimestamp'], undefined),
  );
  for (const node of nodes) await node.boot();
  const { code, stdout, stderr } = await uninstall.ended;
  t.is(code, 0, stdout + stderr);
  assertNodesAsBefore(t);
  await deleteManifests();
  t.is((await command(t, 'uninstall', '--leftovers').ended).code, 0);
  await assertAsBefore(t);
});

async function mirror(name: string): Promise<void> {
  const nodes = { wire: 'transparent' };
  const upstreamUrl = name === 'hub' ? host : `${name}.example`;
  await world.mirror(name, { upstreamUrl, replicas: 1, nodes });
}

function isMirrorCrd(kind: string, name: string): boolean {
  return kind === 'CustomResourceDefinition' && name === 'registrymirrors.k8s.osp.tech';
}

/** As `kubectl delete -k` does it: all at once, and waits until they are gone. */
async function deleteManifests(components: readonly string[] = []): Promise<void> {
  const paths = await manifestPaths(components);
  for (const path of paths) await deleteIfThere(path);
  for (const path of paths) await untilAbsent(path);
}

async function manifestPaths(components: readonly string[]): Promise<string[]> {
  const objects = await kustomizeBuild(components);
  return await Promise.all(objects.map(pathOf));
}

function pathOf(object: KubeObject): Promise<string> {
  return objectPath(object, (root) => world.cluster.adminFetch(root));
}

async function deleteIfThere(path: string): Promise<void> {
  await world.cluster.adminFetch(path, { method: 'DELETE' }).catch(unlessNotFound);
}

async function untilAbsent(path: string): Promise<void> {
  await eventually(
    async () => {
      const object = await world.cluster.adminFetch(path).catch(unlessNotFound);
      if (object !== undefined) throw new Error(JSON.stringify(object.metadata));
    },
    { timeout, interval: 200, message: `${path} was still there` },
  );
}

function unlessNotFound(error: unknown): undefined {
  if ((error as { code?: number }).code !== 404) throw error;
}

/** Deletes an object and waits until it is gone. */
async function endObject(path: string): Promise<void> {
  await deleteIfThere(path);
  await untilAbsent(path);
}

/** Runs the pod of the example on a node. */
async function restore(node: ClusterNode): Promise<void> {
  const pod = load(readFileSync(restoreFile, 'utf8')) as KubeObject & { spec: object };
  await world.cluster.apply({ ...pod, spec: { ...pod.spec, nodeName: node.name } });
  const path = await pathOf(pod);
  await eventually(
    async () => {
      const { status } = await world.cluster.adminFetch<PodObject>(path);
      assert.equal(status.phase, 'Succeeded', JSON.stringify(status));
    },
    { timeout, interval: 200, message: `${node.name} was not restored` },
  );
  await endObject(path);
}

/** As it is done by hand where no operator does it. */
async function letGo(name: string): Promise<void> {
  const body = [{ op: 'remove', path: '/metadata/finalizers' }];
  const contentType = 'application/json-patch+json';
  await world.cluster.adminFetch(mirrorPath(name), { method: 'PATCH', contentType, body });
}

function helmIn(...args: string[]): Promise<HelmResult> {
  return helm(args, { KUBECONFIG: world.cluster.kubeconfigPath });
}

async function succeeds(t: ExecutionContext, running: Promise<HelmResult>): Promise<void> {
  const { code, stdout, stderr } = await running;
  t.is(code, 0, `${stdout}\n${stderr}`);
}

async function untilNoMirrors(): Promise<void> {
  await eventually(
    async () => {
      const { items } = await world.cluster.adminFetch<{ items: KubeObject[] }>(mirrorPath(''));
      assert.deepEqual(
        items.map(({ metadata, status }) => ({ metadata, status })),
        [],
      );
    },
    { timeout, interval: 200, message: 'Mirrors were still there' },
  );
}

function command(t: ExecutionContext, ...args: string[]) {
  return startCommand(t, args, { KUBECONFIG: world.cluster.kubeconfigPath });
}

/** Node and cluster, but for claims, which are then removed. */
async function assertAsBefore(t: ExecutionContext): Promise<void> {
  assertNodesAsBefore(t);
  await eventually(
    async () => assert.deepEqual(differences(objectsBefore, withoutKept(await objectsOf(world.cluster))), []),
    { timeout, interval: 500, message: 'Objects were not as before' },
  );
  t.pass();
  await freeVolumes();
}

/** What the documentation says is kept. */
function withoutKept(objects: Map<string, string>): Map<string, string> {
  return new Map([...objects].filter(([key]) => !kept.some((each) => key.startsWith(each))));
}
const kept = [claimKey, '/api/v1/configmaps default/internet-ca'];

/** So that the next claims have volumes again. */
async function freeVolumes(): Promise<void> {
  const { cluster } = world;
  const { items } = await cluster.adminFetch<{ items: KubeObject[] }>('/api/v1/persistentvolumeclaims');
  for (const claim of items) await deleteIfThere(await pathOf({ ...claim, ...claimKind }));
  for (const claim of items) await untilAbsent(await pathOf({ ...claim, ...claimKind }));
  const volumes = await cluster.adminFetch<{ items: KubeObject[] }>('/api/v1/persistentvolumes');
  for (const { metadata } of volumes.items)
    await world.patch(`/api/v1/persistentvolumes/${metadata.name}`, { spec: { claimRef: null } });
}
const claimKind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };

function nodeListings(): Map<string, string>[] {
  return world.cluster.nodes.map((node) => listingOf(node.path('/etc')));
}

function assertNodesAsBefore(t: ExecutionContext): void {
  const listings = nodeListings();
  for (const [at, node] of world.cluster.nodes.entries()) {
    t.deepEqual(differences(nodesBefore[at] ?? new Map(), listings[at] ?? new Map()), [], node.name);
    t.false(existsSync(node.path(journal)), `${node.name}: the journal`);
  }
}

/** There is something to take back. */
function assertWired(t: ExecutionContext): void {
  const listings = nodeListings();
  for (const [at, node] of world.cluster.nodes.entries()) {
    const found = differences(nodesBefore[at] ?? new Map(), listings[at] ?? new Map());
    t.true(found.length > 0 && existsSync(node.path(journal)), node.name);
  }
}

/** Makes the kubelet look at mounted Secrets every few seconds, not every minute: nothing else of it is another. */
async function lookOften(node: ClusterNode): Promise<void> {
  const file = node.path('/var/lib/kubelet/config.yaml');
  const config = { ...JSON.parse(readFileSync(file, 'utf8')), syncFrequency: '3s' };
  writeFileSync(file, JSON.stringify(config));
  await node.restartDaemon('kubelet');
}
