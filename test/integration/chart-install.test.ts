/** The chart's life on a real API server: install, upgrade, uninstall; the operator runs with the rights that the release gives it. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { objectPath } from '../kubernetes/object-path.ts';
import { eventually } from '../support/eventually.ts';
import { chartFolder, type HelmResult, helm } from '../support/helm.ts';
import { runJobs } from '../support/job-runner.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import { startOperator } from '../support/operator-process.ts';
import { fakeNodes, type Live, startWorld, type World } from '../support/operator-world.ts';

const timeout = 60_000;
const namespace = 'mirrors';
const account = { namespace, name: 'registry-mirror-operator' };
const mirrorPath = '/apis/k8s.osp.tech/v1/registrymirrors/hub';
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const crdPath = `${crds}/registrymirrors.k8s.osp.tech`;
const appsPath = `/apis/apps/v1/namespaces/${namespace}`;

let world: World;
test.beforeEach(() => begin());
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world?.lastWords());
  await world?.end();
});

test.serial(
  'installed, upgraded and uninstalled, it leaves its kinds and nothing else, which another install takes',
  async (t) => {
    const before = await everything();
    const installed = await release('install', '--set', 'rewriting.engine=webhook');
    succeeds(t, installed);
    t.regex(installed.stdout, /^ {2}helm uninstall mirrors -n mirrors --timeout 11m$/m);
    await startOperatorOfRelease(t, { REWRITE_ENGINE: 'webhook' });
    fakeNodesIn(t);
    const jobs = runJobs(t, world.plane, namespace);
    await mirror();
    await eventually(() => world.get(`${appsPath}/statefulsets/registry-mirror-hub`), { timeout });
    await eventually(() => world.get(`${appsPath}/daemonsets/registry-mirror-nodes`), { timeout });
    const configuration =
      '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/registry-rewrite-webhook';
    await eventually(() => world.get(configuration), { timeout });

    succeeds(
      t,
      await release(
        'upgrade',
        '--reuse-values',
        '--set',
        'operator.replicas=1',
        '--set',
        'labels.team=platform',
      ),
    );
    const { spec, metadata } = await world.get(`${appsPath}/deployments/registry-mirror-operator`);
    t.is(spec.replicas, 1);
    t.is(metadata.labels.team, 'platform');
    t.is(jobs.length, 0, 'the hooks are for the end');

    const uninstalled = await helmIn('uninstall', 'mirrors', '--namespace', namespace, '--timeout', '3m');
    succeeds(t, uninstalled);
    t.deepEqual(
      jobs.map(({ name, code }) => [name, code]),
      [
        ['registry-mirror-uninstall-mirrors', 0],
        ['registry-mirror-uninstall-leftovers', 0],
      ],
      JSON.stringify(jobs),
    );
    t.regex(jobs[0]?.stdout ?? '', /^hub: gone$/m);
    await eventually(async () => assert.deepEqual(await everything(), before), { timeout });
    const { uid } = (await world.get(crdPath)).metadata;
    succeeds(t, await release('install'));
    t.is((await world.get(crdPath)).metadata.uid, uid, 'the kinds that were kept are taken');
  },
);

test.serial('an upgrade brings new fields of the kinds, and what there is of them stays', async (t) => {
  const old = await chartWithOldCrd(t);
  succeeds(t, await helmIn('install', 'mirrors', old, '--namespace', namespace));
  t.false(await hasField('cache'));
  await mirror();
  const { uid } = (await world.get(mirrorPath)).metadata;
  succeeds(t, await release('upgrade'));
  t.true(await hasField('cache'));
  t.is((await world.get(mirrorPath)).metadata.uid, uid);
});

test.serial(
  'without an operator the end fails in time, says why, and removes nothing; nor does it after that',
  async (t) => {
    succeeds(t, await release('install', '--set', 'uninstall.timeout=3s'));
    const jobs = runJobs(t, world.plane, namespace);
    await mirror();
    await world.patch(mirrorPath, { metadata: { finalizers: ['k8s.osp.tech/undo-nodes'] } });
    const failed = await helmIn('uninstall', 'mirrors', '--namespace', namespace, '--timeout', '1m');
    t.not(failed.code, 0);
    t.regex(
      jobs[0]?.stdout ?? '',
      /hub: still there; held by k8s\.osp\.tech\/undo-nodes; is the operator running\?/,
    );
    t.truthy(await world.find(`${appsPath}/deployments/registry-mirror-operator`));
    // An operator is all that was missing.
    await startOperatorOfRelease(t);
    fakeNodesIn(t);
    await eventually(async () => assert.equal(await world.find(mirrorPath), undefined), { timeout });
    succeeds(t, await helmIn('uninstall', 'mirrors', '--namespace', namespace, '--timeout', '3m'));
    t.is(await world.find(`${appsPath}/deployments/registry-mirror-operator`), undefined);
  },
);

test.serial('what kustomize installed is taken over, no object is made anew', async (t) => {
  const objects = await kustomizeBuild([], { namespace });
  for (const object of objects) await world.plane.apply(object);
  const uids = await Promise.all(objects.map(uidOf));
  const refused = await release('install');
  t.not(refused.code, 0);
  t.regex(refused.stderr, /exists and cannot be imported/);
  succeeds(t, await release('install', '--take-ownership'));
  t.deepEqual(await Promise.all(objects.map(uidOf)), uids);
});

test.serial(
  'whose image cannot be pulled fails to end in time; without hooks it ends, and leaves that job',
  async (t) => {
    // No kubelet is there: pods of the job stay as they do where their image is missing.
    await world.end();
    await begin('job-controller');
    const before = await everything();
    succeeds(t, await release('install', '--set', 'uninstall.timeout=1s'));
    const failed = await helmIn('uninstall', 'mirrors', '--namespace', namespace, '--timeout', '61s');
    t.not(failed.code, 0);
    t.regex(failed.stderr, /DeadlineExceeded/);
    t.truthy(await world.find(`${appsPath}/deployments/registry-mirror-operator`));
    succeeds(t, await helmIn('uninstall', 'mirrors', '--namespace', namespace, '--no-hooks'));
    const left = () => everything().then((names) => names.filter((name) => !before.includes(name)));
    const job = `/apis/batch/v1/jobs ${namespace}/registry-mirror-uninstall-mirrors`;
    await eventually(async () => assert.deepEqual(await left(), [job]), { timeout });
  },
);

/** Garbage is collected as in a cluster; namespaces and workloads are not worked on, jobs only where that is wanted. */
async function begin(...controllers: string[]): Promise<void> {
  world = await startWorld({
    withoutCrd: true,
    enableControllerManager: true,
    controllers: [
      'garbage-collector-controller',
      'serviceaccount-controller',
      'serviceaccount-token-controller',
      ...controllers,
    ],
  });
  await world.plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
}

function release(command: 'install' | 'upgrade', ...args: string[]): Promise<HelmResult> {
  return helmIn(command, 'mirrors', chartFolder, '--namespace', namespace, ...args);
}

function helmIn(...args: string[]): Promise<HelmResult> {
  return helm(args, { KUBECONFIG: world.plane.kubeconfigPath });
}

function succeeds(t: ExecutionContext, { code, stdout, stderr }: HelmResult): void {
  t.is(code, 0, `${stdout}\n${stderr}`);
}

async function startOperatorOfRelease(t: ExecutionContext, environment: Record<string, string> = {}) {
  const token = await tokenOf(account.name);
  const operator = startOperator(await world.plane.podAccess(token), {
    NAMESPACE: namespace,
    NODE_DAEMONSETS: 'shared',
    ...environment,
  });
  t.teardown(() => operator.kill());
}

/** Of the account as the release made it. */
async function tokenOf(name: string): Promise<string> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  return (await world.plane.adminFetch<Live>(path, { method: 'POST', body })).status.token;
}

function fakeNodesIn(t: ExecutionContext): void {
  fakeNodes(t, world, 0, 0, namespace);
}

async function mirror(): Promise<void> {
  await eventually(() => world.get('/apis/k8s.osp.tech/v1'), { timeout });
  await eventually(() => world.mirror('hub', { upstreamUrl: 'quay.io' }), { timeout });
}

/** The chart as it may have been: its kind lacks a field. */
async function chartWithOldCrd(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'chart-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await cp(chartFolder, folder, { recursive: true });
  const file = join(folder, 'templates/crd-registrymirrors.yaml');
  const crd = await readFile(file, 'utf8');
  const without = crd.replace(/\n( +)cache:\n(?:\1 +.*\n)+/, '\n');
  assert.notEqual(without, crd);
  await writeFile(file, without);
  return folder;
}

async function hasField(name: string): Promise<boolean> {
  const { spec } = await world.get(crdPath);
  return name in spec.versions[0].schema.openAPIV3Schema.properties.spec.properties;
}

async function uidOf({ apiVersion, kind, metadata }: Live): Promise<string> {
  const path = await objectPath({ apiVersion, kind, metadata }, (root) => world.plane.adminFetch(root));
  return (await world.get(path)).metadata.uid;
}

/** Names of all objects of the cluster but for events, kinds of ours, and what the API server keeps for itself. */
async function everything(): Promise<string[]> {
  const groups = (await world.get('/apis')).groups.map(
    ({ preferredVersion }: Live) => `/apis/${preferredVersion.groupVersion}`,
  );
  const names: string[] = [];
  for (const root of ['/api/v1', ...groups]) {
    const { resources } = await world.get(root);
    for (const { name, verbs } of resources.filter(isListed)) {
      const { items } = await world.get(`${root}/${name}`);
      names.push(
        ...items.map(({ metadata }: Live) => `${root}/${name} ${metadata.namespace ?? ''}/${metadata.name}`),
      );
      assert.ok(verbs.includes('list'));
    }
  }
  return names.filter((name) => !ignored.test(name)).sort();
}

function isListed({ name, verbs }: Live): boolean {
  return !name.includes('/') && verbs.includes('list') && !['events', 'componentstatuses'].includes(name);
}

const ignored =
  /customresourcedefinitions|apiservices .*osp\.tech|apiservices .*pivotal|\/leases kube-system|endpointslices|flowschemas|prioritylevel|configmaps .*kube-root-ca|serviceaccounts .*\/default$/;
