/** The operator's namespace on a real API server: it goes neither before the mirrors nor stays after them. */
import assert from 'node:assert/strict';
import test from 'ava';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { kustomizeBuild } from '../support/kustomize.ts';

const namespace = '/api/v1/namespaces/registry-mirrors';
const mirror = '/apis/k8s.osp.tech/v1/registrymirrors/hub';
const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/registrymirrors.k8s.osp.tech';

let plane: ControlPlane;
test.before(async () => {
  plane = await startControlPlane();
  for (const object of await kustomizeBuild(['namespace'])) await eventually(() => plane.apply(object));
});
test.after.always(() => plane?.stop());

/** Whether the API server would let it go; a namespace that is really deleted cannot be used again. */
async function objection(path = namespace): Promise<string | undefined> {
  const tried = plane.adminFetch(`${path}?dryRun=All`, { method: 'DELETE' });
  return await tried.then(
    () => undefined,
    (error: Error) => error.message,
  );
}

async function untilNoObjection(): Promise<void> {
  await eventually(async () => assert.equal(await objection(), undefined));
}

test.serial('a namespace with a mirror stays, and it is said what to delete first', async (t) => {
  await untilNoObjection();
  const metadata = { name: 'hub' };
  const object = { apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', metadata };
  await eventually(() => plane.apply({ ...object, spec: { upstreamUrl: 'quay.io' } }));
  const said = await eventually(async () => {
    const message = await objection();
    assert.ok(message !== undefined);
    return message;
  });
  t.regex(said, /RegistryMirror hub still exists/);
  t.regex(said, /kubectl delete registrymirrors --all/);
  await plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } });
  t.is(await objection('/api/v1/namespaces/other'), undefined, 'others are not looked at');
});

test.serial('without mirrors, and without their kind, nobody objects', async (t) => {
  await plane.adminFetch(mirror, { method: 'DELETE' });
  await untilNoObjection();
  await plane.adminFetch(crd, { method: 'DELETE' });
  await eventually(async () => {
    await assert.rejects(plane.adminFetch(mirror));
    assert.equal(await objection(), undefined);
  });
  t.is(await objection(), undefined);
});
