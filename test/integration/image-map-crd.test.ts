/** The CRD of ImageMap on a real API server: it takes what kubernetes-image-mapper's took, and its place. */
import assert from 'node:assert/strict';
import test from 'ava';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';

const crdFile = 'crds/imagemaps.mapper.imagerelocation.pivotal.io.yaml';
const group = 'mapper.imagerelocation.pivotal.io';
const crdPath = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imagemaps.${group}`;
const path = `/apis/${group}/v1alpha1/namespaces/default/imagemaps`;

let plane: ControlPlane;
test.before(async () => {
  plane = await startControlPlane();
});
test.after.always(() => plane?.stop());

function imageMap(name: string, spec: unknown, metadata = {}): KubeObject {
  return {
    apiVersion: `${group}/v1alpha1`,
    kind: 'ImageMap',
    metadata: { name, ...metadata },
    ...(spec !== undefined && { spec }),
  };
}

/** As API servers before 1.22 stored the CRD that kubernetes-image-mapper's manifest made. */
const original = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: `imagemaps.${group}`,
    uid: 'c0ffee00-0000-4000-8000-000000000001',
    generation: 1,
    creationTimestamp: '2020-01-01T00:00:00Z',
  },
  spec: {
    group,
    names: { kind: 'ImageMap', listKind: 'ImageMapList', plural: 'imagemaps', singular: 'imagemap' },
    scope: 'Namespaced',
    preserveUnknownFields: true,
    conversion: { strategy: 'None' },
    versions: [
      {
        name: 'v1alpha1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                required: ['map'],
                properties: {
                  map: {
                    type: 'array',
                    items: {
                      type: 'object',
                      required: ['from', 'to'],
                      properties: { from: { type: 'string' }, to: { type: 'string' } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
  status: {
    acceptedNames: { kind: 'ImageMap', listKind: 'ImageMapList', plural: 'imagemaps', singular: 'imagemap' },
    conditions: ['NamesAccepted', 'Established'].map((type) => ({
      type,
      status: 'True',
      reason: 'Accepted',
      message: '',
      lastTransitionTime: '2020-01-01T00:00:00Z',
    })),
    storedVersions: ['v1alpha1'],
  },
};

test.serial('it takes the place of the original’s, whose maps stay', async (t) => {
  const key = `/registry/apiextensions.k8s.io/customresourcedefinitions/imagemaps.${group}`;
  await plane.storeUnchecked(key, original);
  const spec = { map: [{ from: 'nginx', to: 'r.io/nginx' }], unknown: 'to the new schema' };
  const metadata = { finalizers: [group] };
  await eventually(() => plane.adminFetch(path, { method: 'POST', body: imageMap('old', spec, metadata) }));
  const before = await plane.adminFetch<Crd>(crdPath);
  t.true(before.spec.preserveUnknownFields, 'the original’s is there as it was');

  await plane.applyCrd(crdFile);
  const after = await plane.adminFetch<Crd>(crdPath);
  t.falsy(after.spec.preserveUnknownFields);
  t.is(after.metadata.uid, original.metadata.uid);
  await eventually(async () => {
    const map = await plane.adminFetch(`${path}/old`);
    assert.deepEqual(map['spec'], { map: spec.map });
    assert.deepEqual(map.metadata['finalizers'], [group]);
  });
  const body = { metadata: { finalizers: [] } };
  await plane.adminFetch(`${path}/old`, {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body,
  });
});

const accepted: readonly [string, unknown][] = [
  [
    'the original’s sample',
    {
      map: [
        {
          from: 'gcr.io/google-samples/kubernetes-bootcamp:v1',
          to: '<repo prefix>/kubernetes-bootcamp:v1',
        },
      ],
    },
  ],
  ['what the original’s tests make', { map: [{ from: 'from', to: 'to' }] }],
  ['an empty value', { map: [{ from: 'a', to: '' }] }],
  ['an empty image', { map: [{ from: '', to: 'a' }] }],
  ['no line', { map: [] }],
  ['no spec', undefined],
  [
    'one image twice',
    {
      map: [
        { from: 'a', to: 'b' },
        { from: 'a', to: 'c' },
      ],
    },
  ],
  ['texts that are no image', { map: [{ from: 'A b\n', to: '::' }] }],
  ['20,000 lines', { map: lines(20_000) }],
];

for (const [title, spec] of accepted) {
  test.serial(`${title} is accepted`, async (t) => {
    await plane.applyCrd(crdFile);
    const stored = await plane.adminFetch(`${path}?fieldValidation=Strict`, {
      method: 'POST',
      body: imageMap('accepted', spec),
    });
    t.deepEqual(stored['spec'], spec);
    await plane.adminFetch(`${path}/accepted`, { method: 'DELETE' });
  });
}

const refused: readonly [unknown, RegExp][] = [
  [{}, /spec\.map: Required value/],
  ['text', /spec.*must be of type object/],
  [{ map: null }, /spec\.map/],
  [{ map: { a: 'b' } }, /unknown field "spec\.map\.a"/],
  [{ map: ['a:b'] }, /spec\.map\[0\].*must be of type object/],
  [{ map: [{ from: 'a' }] }, /spec\.map\[0\]\.to: Required value/],
  [{ map: [{ to: 'a' }] }, /spec\.map\[0\]\.from: Required value/],
  [{ map: [{ from: 'a', to: 7 }] }, /spec\.map\[0\]\.to.*must be of type string/],
  [{ map: [{ from: 'a', to: 'b', tag: 'c' }] }, /unknown field "spec\.map\[0\]\.tag"/],
  [{ map: [{ from: 'a'.repeat(5_000), to: 'b' }] }, /spec\.map\[0\]\.from: Too long/],
];

for (const [spec, message] of refused) {
  test.serial(`${JSON.stringify(spec).slice(0, 60)} is refused`, async (t) => {
    await plane.applyCrd(crdFile);
    const url = `${path}?fieldValidation=Strict`;
    await t.throwsAsync(
      plane.adminFetch(url, { method: 'POST', body: { ...imageMap('refused', {}), spec } }),
      {
        message,
      },
    );
  });
}

test.serial('kubectl shows whether a map is in force, and with -o wide why not', async (t) => {
  await plane.applyCrd(crdFile);
  await plane.apply(imageMap('shown', { map: [] }));
  const conditions = [{ type: 'Ready', status: 'False', message: 'why' }];
  await plane.adminFetch(`${path}/shown/status`, {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body: { status: { conditions } },
  });
  const table = await plane.adminFetch<Table>(path, {
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
  });
  const columns = table.columnDefinitions.map(({ name, priority }) => `${name} ${priority}`);
  t.deepEqual(columns, ['Name 0', 'Ready 0', 'Message 1', 'Age 0']);
  t.deepEqual(table.rows.find(({ cells }) => cells[0] === 'shown')?.cells.slice(0, 3), [
    'shown',
    'False',
    'why',
  ]);
});

interface Crd extends KubeObject {
  spec: { preserveUnknownFields?: boolean };
}

interface Table {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
}

function lines(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    from: `registry.example/team/app-${index}:1.2.3`,
    to: `r.io/app-${index}`,
  }));
}
