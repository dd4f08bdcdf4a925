import test from 'ava';
import { fieldManager } from '../../../../src/api/names.ts';
import { adoptionPatch, isAdopted } from '../../../../src/operator/registry-mirror/adoption.ts';

type Fields = Record<string, unknown>;

function object(...managedFields: Fields[]): Fields {
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { resourceVersion: '7', managedFields } };
}

const python = {
  manager: 'OpenAPI-Generator',
  operation: 'Update',
  apiVersion: 'apps/v1',
  time: '2024-01-01T00:00:00Z',
  fieldsType: 'FieldsV1',
  fieldsV1: { 'f:metadata': { 'f:labels': { 'f:app': {} } }, 'f:spec': { 'f:replicas': {} } },
};
const kubectlEdit = {
  manager: 'kubectl-edit',
  operation: 'Update',
  apiVersion: 'apps/v1',
  time: '2024-02-01T00:00:00Z',
  fieldsType: 'FieldsV1',
  fieldsV1: { 'f:metadata': { 'f:annotations': { 'f:note': {} } }, 'f:spec': { 'f:paused': {} } },
};
const controller = {
  manager: 'kube-controller-manager',
  operation: 'Update',
  apiVersion: 'apps/v1',
  subresource: 'status',
  fieldsV1: { 'f:status': { 'f:replicas': {} } },
};

test('The Python client’s entries become ours, guarded by the resourceVersion', (t) => {
  const patch = adoptionPatch(object(python, controller));
  t.deepEqual(patch, [
    { op: 'test', path: '/metadata/resourceVersion', value: '7' },
    {
      op: 'replace',
      path: '/metadata/managedFields',
      value: [controller, { ...python, manager: fieldManager, operation: 'Apply' }],
    },
    { op: 'add', path: '/metadata/annotations', value: { 'k8s.osp.tech/adopted': 'true' } },
  ]);
});

test('Of other writers only what makes the object work is taken', (t) => {
  const value = adoptionPatch(object(python, kubectlEdit))?.[1]?.value as Fields[];
  t.deepEqual(value[0], { ...kubectlEdit, fieldsV1: { 'f:metadata': kubectlEdit.fieldsV1['f:metadata'] } });
  t.deepEqual(value[1]?.['fieldsV1'], {
    'f:metadata': python.fieldsV1['f:metadata'],
    'f:spec': { 'f:replicas': {}, 'f:paused': {} },
  });
});

test('An object that we applied before is not adopted again', (t) => {
  const ours = { ...python, manager: fieldManager, operation: 'Apply' };
  t.is(adoptionPatch(object(ours, kubectlEdit)), undefined);
});

test('An object nobody wrote by update needs no adoption', (t) => {
  t.is(adoptionPatch(object(controller)), undefined);
  t.is(adoptionPatch(object({ ...python, operation: 'Apply', manager: 'helm' })), undefined);
});

test('A StatefulSet that was taken over is marked as such, beside its annotations; no other object is', (t) => {
  const annotations = { note: 'x' };
  const annotated = { ...object(python), metadata: { annotations, managedFields: [python] } };
  t.deepEqual(adoptionPatch(annotated)?.at(-1), {
    op: 'add',
    path: '/metadata/annotations/k8s.osp.tech~1adopted',
    value: 'true',
  });
  t.is(adoptionPatch({ ...annotated, kind: 'DaemonSet' })?.length, 2);
});

test('Adopted is what is to be taken over or is marked, not what we made', (t) => {
  const ours = { ...python, manager: fieldManager, operation: 'Apply' };
  t.true(isAdopted(object(python)));
  t.false(isAdopted(object(ours)));
  const annotations = { 'k8s.osp.tech/adopted': 'true' };
  t.true(isAdopted({ ...object(ours), metadata: { annotations, managedFields: [ours] } }));
  t.false(isAdopted(object({ ...ours, manager: 'helm' })));
});
