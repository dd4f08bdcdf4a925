/** In whatever order it is ended, nodes and cluster are as they were before the install. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { load } from 'js-yaml';
import type { ClusterNode } from '../cluster/node.ts';
import type { PodObject } from '../cluster/pods.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { chartFolder, type HelmResult, helm } from '../support/helm.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import { BeforeInstall } from './before-install.ts';
import { objectsOf } from './cluster-objects.ts';
import { deleteAll, endAll, pathOf } from './ending-objects.ts';
import { type InstalledCluster, installedCluster, mirrorPath } from './installed-cluster.ts';

const host = 'registry.example';
const timeout = 90_000;
const crdName = 'registrymirrors.k8s.osp.tech';
const crdPath = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crdName}`;
const namespace = 'registry-mirrors';
const namespacePath = `/api/v1/namespaces/${namespace}`;
const guardPath =
  '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/registry-mirror-namespace';
const claims = '/api/v1/persistentvolumeclaims';
const restoreFile = join(import.meta.dirname, '../../deploy/restore-node.yaml');

let world: InstalledCluster;
let before: BeforeInstall;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  world = await installedCluster({ name: 'uninstall', upstreams: [host], install: false });
  before = await BeforeInstall.of(world.cluster);
});
test.after.always(() => world?.cluster.stop());

test.serial('a mirror that is deleted gives its nodes back, whatever becomes of what it owns', async (t) => {
  await world.install();
  const policies = ['Background', 'Foreground', 'Orphan'];
  await wired(t, ...policies.map((policy) => policy.toLowerCase()));
  for (const propagationPolicy of policies) {
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy };
    await world.cluster.adminFetch(mirrorPath(propagationPolicy.toLowerCase()), { method: 'DELETE', body });
  }
  await world.untilNoMirrors();
  before.assertNodesAsBefore(t);
  await eventually(
    async () => {
      const left = Object.keys(await objectsOf(world.cluster)).filter((key) => ofPolicies.test(key));
      const volumes = left.filter((key) => key.startsWith(claims));
      assert.deepEqual(left.length - volumes.length, 0, left.join('\n'));
      assert.equal(volumes.length, policies.length);
    },
    { timeout, interval: 500, message: 'More than volumes was left' },
  );
});
const ofPolicies = /registry-mirror-(background|foreground|orphan)/;

test.serial('its kind deleted, nodes are given back; made again, the operator goes on with it', async (t) => {
  await wired(t, 'hub');
  const crd = (await kustomizeBuild([])).find(({ metadata }) => metadata.name === crdName);
  await endAll(world.cluster, [crdPath]);
  before.assertNodesAsBefore(t);
  assert.ok(crd);
  await world.cluster.apply(crd);
  await wired(t, 'hub');
});

test.serial('ended as it is documented, volumes are left', async (t) => {
  await succeeds(t, uninstall(t));
  await endAsDocumented(t);
});

test.serial('its namespace cannot be deleted first: what to do before is said, and is enough', async (t) => {
  const { cluster } = world;
  await world.install(['namespace'], namespace);
  await wired(t, 'hub');
  const refused = await t.throwsAsync(cluster.adminFetch(namespacePath, { method: 'DELETE' }));
  t.regex(refused?.message ?? '', /RegistryMirror hub still exists.*kubectl delete registrymirrors --all/s);
  t.is((await cluster.adminFetch<NamespaceObject>(namespacePath)).status.phase, 'Active');
  await cluster.adminFetch(mirrorPath(''), { method: 'DELETE' });
  await world.untilNoMirrors();
  before.assertNodesAsBefore(t);
  await endNamespace();
  await endAll(cluster, await manifestPaths(['namespace']));
  await endsAsBefore(t);
});

test.serial('its namespace lost all the same, what is documented then gives the nodes back', async (t) => {
  const { cluster } = world;
  await world.install(['namespace'], namespace);
  await wired(t, 'hub');
  await endAll(cluster, [guardPath]);
  await endNamespace();
  before.assertWired(t);
  await deleteAll(cluster, await manifestPaths(['namespace']));
  for (const node of cluster.nodes) await restore(node);
  await letGo('hub');
  await endsAsBefore(t);
});

test.serial('ended with helm while there are mirrors, its kinds are left', async (t) => {
  const { cluster } = world;
  const metadata = { name: 'mirrors', labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } };
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata });
  await succeeds(t, helmIn('install', chartFolder));
  await world.untilOperatorsRun('mirrors');
  await cluster.apply(world.authorityObject('mirrors'));
  await wired(t, 'hub');
  await succeeds(t, helmIn('uninstall', '--timeout', '3m'));
  before.assertNodesAsBefore(t);
  await endAll(cluster, ['/api/v1/namespaces/mirrors']);
  const crds = (await kustomizeBuild([])).filter(({ kind }) => kind === 'CustomResourceDefinition');
  for (const crd of crds) t.truthy(await cluster.adminFetch(await pathOf(cluster, crd)), 'kept');
  await endAll(cluster, await Promise.all(crds.map((crd) => pathOf(cluster, crd))));
  await endsAsBefore(t);
});

test.serial('ended while both nodes are off, it goes on when they are back', async (t) => {
  const { nodes } = world.cluster;
  await world.install();
  await wired(t, 'hub');
  await Promise.all(nodes.map((node) => node.powerOff()));
  const running = uninstall(t);
  await eventually(async () => assert.ok((await world.getMirror('hub')).metadata['deletionTimestamp']));
  before.assertWired(t);
  for (const node of nodes) await node.boot();
  await succeeds(t, running);
  await endAsDocumented(t);
});

interface NamespaceObject extends KubeObject {
  readonly status: { readonly phase: string };
}

/** Makes mirrors and waits until the nodes pull through them. */
async function wired(t: ExecutionContext, ...names: string[]): Promise<void> {
  for (const name of names) {
    const upstreamUrl = name === 'hub' ? host : `${name}.example`;
    await world.mirror(name, { upstreamUrl, replicas: 1, nodes: { wire: 'transparent' } });
  }
  await world.untilServing(...names);
  before.assertWired(t);
}

/** The second and the third command, after the first has made nodes as they were. */
async function endAsDocumented(t: ExecutionContext): Promise<void> {
  before.assertNodesAsBefore(t);
  await endAll(world.cluster, await manifestPaths());
  await succeeds(t, uninstall(t, '--leftovers'));
  await endsAsBefore(t);
}

/** All is as before; then claims go, so that the next ones have volumes again. */
async function endsAsBefore(t: ExecutionContext): Promise<void> {
  await before.assertAsBefore(t);
  const { cluster } = world;
  const { items } = await cluster.adminFetch<{ items: KubeObject[] }>(claims);
  const kind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };
  await endAll(cluster, await Promise.all(items.map((claim) => pathOf(cluster, { ...claim, ...kind }))));
  const volumes = await cluster.adminFetch<{ items: KubeObject[] }>('/api/v1/persistentvolumes');
  for (const { metadata } of volumes.items)
    await world.patch(`/api/v1/persistentvolumes/${metadata.name}`, { spec: { claimRef: null } });
}

/** The API server learns a moment later that nothing is left to object. */
async function endNamespace(): Promise<void> {
  await eventually(() => deleteAll(world.cluster, [namespacePath]));
  await endAll(world.cluster, [namespacePath]);
}

async function manifestPaths(components: readonly string[] = []): Promise<string[]> {
  const objects = await kustomizeBuild(components);
  return await Promise.all(objects.map((object) => pathOf(world.cluster, object)));
}

/** Runs the pod of the example on a node. */
async function restore(node: ClusterNode): Promise<void> {
  const { cluster } = world;
  const pod = load(readFileSync(restoreFile, 'utf8')) as KubeObject & { spec: object };
  await cluster.apply({ ...pod, spec: { ...pod.spec, nodeName: node.name } });
  const path = await pathOf(cluster, pod);
  await eventually(
    async () => {
      const { status } = await cluster.adminFetch<PodObject>(path);
      assert.equal(status.phase, 'Succeeded', JSON.stringify(status));
    },
    { timeout, interval: 200, message: `${node.name} was not restored` },
  );
  await endAll(cluster, [path]);
}

/** As it is done by hand where no operator does it. */
async function letGo(name: string): Promise<void> {
  await world.patchMirror(name, { metadata: { finalizers: null } });
}

function uninstall(t: ExecutionContext, ...args: string[]) {
  return startCommand(t, ['uninstall', ...args], { KUBECONFIG: world.cluster.kubeconfigPath }).ended;
}

function helmIn(command: string, ...args: string[]): Promise<HelmResult> {
  const all = [command, 'mirrors', ...args, '--namespace', 'mirrors'];
  return helm(all, { KUBECONFIG: world.cluster.kubeconfigPath });
}

async function succeeds(
  t: ExecutionContext,
  running: Promise<{ code: number | string; stdout: string; stderr: string }>,
): Promise<void> {
  const { code, stdout, stderr } = await running;
  t.is(code, 0, `${stdout}\n${stderr}`);
}
