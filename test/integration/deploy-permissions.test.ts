/** The operator with exactly the permissions of deploy/: through a mirror's whole life nothing is forbidden to it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'ava';
import { type KubeObject, StatusError } from '../kubernetes/api-request.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { startOperator } from '../support/operator-process.ts';

const deploy = join(import.meta.dirname, '../../deploy');
const account = { namespace: 'default', name: 'registry-mirror-operator' };
const user = `system:serviceaccount:${account.namespace}:${account.name}`;
const mirrorPath = '/apis/k8s.osp.tech/v1/registrymirrors/hub';
const daemonSetPath = '/apis/apps/v1/namespaces/default/daemonsets/registry-mirror-hub-utils';
const timeout = 30_000;

for (const scheme of ['hostess', 'services']) {
  test.serial(`what deploy/ grants is all the operator needs in scheme ${scheme}`, async (t) => {
    // Whoever sets blockOwnerDeletion must then be allowed to change the owner's finalizers.
    const apiServerFlags = ['--enable-admission-plugins=OwnerReferencesPermissionEnforcement'];
    const plane = await startControlPlane({ apiServerFlags });
    t.teardown(() => plane.stop());
    await install(plane, scheme);
    const kubeconfig = await plane.kubeconfigFor({ token: await plane.tokenFor(account) });
    const operator = startOperator(kubeconfig, { ADDRESSING_SCHEME: scheme });
    t.teardown(() => operator.kill());

    await live(plane);
    await plane.adminFetch(mirrorPath, { method: 'DELETE' });
    await eventually(() => restoreNodes(plane), { timeout });
    await eventually(() => assertGone(plane, mirrorPath), { timeout });
    await eventually(() => assertGone(plane, '/api/v1/namespaces/default/secrets/registry-mirror-hub-leaf'));
    t.is(await operator.stop(), 0);
    t.deepEqual(await forbidden(plane), []);
  });
}

async function install(plane: ControlPlane, scheme: string): Promise<void> {
  await plane.applyCrd(join(deploy, 'base/registrymirrors.k8s.osp.tech.yaml'));
  for (const file of ['service-accounts.yaml', 'rbac.yaml'])
    await plane.applyFile(join(deploy, 'base', file));
  if (scheme !== 'services') return;
  await plane.applyCrd(join(import.meta.dirname, 'fixtures/cert-manager-crds.yaml'));
  await plane.applyFile(join(deploy, 'components/cert-manager/issuer.yaml'));
  await plane.applyFile(join(deploy, 'components/services/rbac.yaml'));
}

/** Makes a mirror that also causes a Warning event, changes it, and waits until all is done. */
async function live(plane: ControlPlane): Promise<void> {
  const spec = { upstreamUrl: 'quay.io', credentialsSecret: 'missing' };
  const mirror = { apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', metadata: { name: 'hub' } };
  await plane.apply({ ...mirror, spec });
  await eventually(() => plane.adminFetch(daemonSetPath), { timeout });
  await eventually(async () => {
    const { items } = await plane.adminFetch<{ items: KubeObject[] }>('/api/v1/namespaces/default/events');
    assert.ok(items.some((event) => (event['involvedObject'] as KubeObject['metadata']).name === 'hub'));
  });
  const { metadata } = await plane.apply({ ...mirror, spec: { ...spec, replicas: 3 } });
  await eventually(async () => {
    const { status } = (await plane.adminFetch(mirrorPath)) as { status?: { observedGeneration?: number } };
    assert.equal(status?.observedGeneration, metadata['generation']);
  });
}

/** What the DaemonSet controller would say where there is no node. */
async function restoreNodes(plane: ControlPlane): Promise<void> {
  const { metadata, spec } = await plane.adminFetch(daemonSetPath);
  assert.match(JSON.stringify(spec), /"NODE_AGENT_MODE","value":"restore"/);
  const counts = {
    currentNumberScheduled: 0,
    numberMisscheduled: 0,
    desiredNumberScheduled: 0,
    numberReady: 0,
  };
  await plane.adminFetch(`${daemonSetPath}/status`, {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body: { status: { ...counts, observedGeneration: metadata['generation'] } },
  });
}

async function assertGone(plane: ControlPlane, path: string): Promise<void> {
  await assert.rejects(plane.adminFetch(path), (error) => error instanceof StatusError && error.code === 404);
}

async function forbidden(plane: ControlPlane): Promise<string[]> {
  const events = (await plane.auditLog()).filter((event) => event.user.username === user);
  assert.ok(events.length > 10);
  return events
    .filter(({ responseStatus }) => responseStatus?.code === 403)
    .map(({ verb, requestURI }) => `${verb} ${requestURI}`);
}
