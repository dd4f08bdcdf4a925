import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { dump } from 'js-yaml';
import { createClient, type KubeClient } from '../../src/kube/client.ts';
import { type Connection, loadConnection } from '../../src/kube/connection.ts';
import { ApiError } from '../../src/kube/errors.ts';
import { EventRecorder, eventType } from '../../src/kube/events.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import type { ResourceType } from '../../src/kube/resource-type.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { conformance, gadgetType } from '../support/kube-conformance.ts';

const crdType: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};
const configMapType: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const crdKey = { name: `${gadgetType.plural}.${gadgetType.group}` };
let plane: ControlPlane;
let connection: Connection;
let client: KubeClient;

test.before(async (t) => {
  t.timeout(900_000, 'the programs may have to be built first');
  plane = await startControlPlane();
  connection = await loadConnection({ kubeconfigPath: plane.kubeconfigPath });
  client = createClient(connection, { userAgent: 'kube-test' });
  await installType();
});
test.after.always(async () => {
  await client?.close();
  await plane?.stop();
});

conformance(test, () => ({
  port: Number(new URL(plane.url).port),
  connection: (port) => ({ ...connection, url: `https://127.0.0.1:${port}` }),
  installType,
  removeType,
  async compact() {
    await plane.compactEtcd();
  },
  crash: (gapMs) => plane.restartApiServer({ signal: 'SIGKILL', gapMs }),
}));

test.serial('applying takes over fields only when forced, and a dry run changes nothing', async (t) => {
  const object = configMap('applied', { a: '1' });
  await client.apply(configMapType, object, { fieldManager: 'one' });
  const changed = configMap('applied', { a: '2' });
  const refused = await t.throwsAsync(client.apply(configMapType, changed, { fieldManager: 'two' }), {
    instanceOf: ApiError,
  });
  t.true(refused.conflict);
  t.regex(JSON.stringify(refused.causes), /FieldManagerConflict/);
  const forced = { fieldManager: 'two', force: true };
  await client.apply(configMapType, changed, { ...forced, dryRun: true });
  t.deepEqual((await client.get(configMapType, object.metadata as { name: string }))['data'], { a: '1' });
  const applied = await client.apply(configMapType, changed, forced);
  t.deepEqual(applied['data'], { a: '2' });
});

test.serial('an unknown field is refused by strict field validation', async (t) => {
  const options = { fieldManager: 'one', force: true, fieldValidation: 'Strict' } as const;
  const wrong = { ...configMap('strict', {}), dta: {} };
  const refused = await t.throwsAsync(client.apply(configMapType, wrong, options), { instanceOf: ApiError });
  t.regex(refused.message, /dta/);
});

test.serial('JSON and merge patches change an object, and a failed test operation does not', async (t) => {
  await client.create(configMapType, configMap('patched', { a: '1' }));
  const key = { namespace: 'default', name: 'patched' };
  await client.patch(configMapType, key, { data: { b: '2' } }, { contentType: 'merge' });
  await client.patch(configMapType, key, [{ op: 'remove', path: '/data/a' }], { contentType: 'json' });
  t.deepEqual((await client.get(configMapType, key))['data'], { b: '2' });
  const stale = [
    { op: 'test', path: '/metadata/resourceVersion', value: '1' },
    { op: 'remove', path: '/data/b' },
  ];
  const refused = await t.throwsAsync(client.patch(configMapType, key, stale, { contentType: 'json' }), {
    instanceOf: ApiError,
  });
  t.true(refused.invalid);
});

test.serial('more than one page is listed completely', async (t) => {
  const names = Array.from({ length: 5 }, (_, index) => `page-${index}`);
  for (const name of names) await client.create(configMapType, { ...configMap(name, {}) });
  const seen: string[] = [];
  let token: string | undefined;
  do {
    const page = await client.list(configMapType, {
      namespace: 'default',
      limit: 2,
      ...(token === undefined ? {} : { continue: token }),
    });
    seen.push(...page.items.map(({ metadata }) => metadata.name));
    token = page.continue;
  } while (token !== undefined);
  t.true(names.every((name) => seen.includes(name)));
  t.is(new Set(seen).size, seen.length);
});

test.serial(
  'an event is written once over two recorders, about a cluster-scoped object in default',
  async (t) => {
    const about = await client.get(
      { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false },
      { name: 'default' },
    );
    for (const instance of ['before', 'after-restart']) {
      const recorder = new EventRecorder({ client, component: 'mirror-test', instance });
      await recorder.warning(about, 'Broken', `failed with Authorization Bearer abc123 ${'é'.repeat(2000)}`);
      await recorder.warning(about, 'Broken', `failed with Authorization Bearer abc123 ${'é'.repeat(2000)}`);
    }
    const { items } = await client.list(eventType, {
      namespace: 'default',
      fieldSelector: `involvedObject.uid=${about.metadata.uid},type=Warning`,
    });
    t.is(items.length, 1);
    t.like(items[0], { reason: 'Broken', source: { component: 'mirror-test' }, reportingInstance: 'before' });
    t.false(JSON.stringify(items).includes('abc123'));
  },
);

test.serial('what RBAC refuses is forbidden and names the request', async (t) => {
  const token = await plane.tokenFor({ namespace: 'default', name: 'nobody' });
  const kubeconfigPath = await plane.kubeconfigFor({ token });
  const nobody = createClient(await loadConnection({ kubeconfigPath }), { userAgent: 'kube-test' });
  t.teardown(() => nobody.close());
  const refused = await t.throwsAsync(nobody.listAll(configMapType), { instanceOf: ApiError });
  t.true(refused.forbidden);
  t.regex(refused.message, /^GET \/api\/v1\/configmaps: 403 Forbidden/);
});

test.serial('a client certificate and a service account directory connect as well', async (t) => {
  const kubeconfigPath = await plane.kubeconfigFor({ user: 'jane', groups: ['system:masters'] });
  const token = await plane.tokenFor({ namespace: 'default', name: 'in-cluster' }, [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['list'] },
  ]);
  for (const sources of [{ kubeconfigPath }, await plane.podAccess(token)]) {
    const other = createClient(await loadConnection(sources), { userAgent: 'kube-test' });
    t.teardown(() => other.close());
    t.true((await other.listAll(configMapType)).items.length > 0);
  }
});

async function installType(): Promise<void> {
  const file = join(plane.folder, 'gadgets.yaml');
  await writeFile(file, dump(gadgetCrd));
  await plane.applyCrd(file);
}

async function removeType(): Promise<void> {
  await client.delete(crdType, crdKey);
  await eventually(async () => assert.equal(await client.getOrUndefined(crdType, crdKey), undefined));
}

function configMap(name: string, data: Record<string, string>): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data };
}

const gadgetCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: crdKey,
  spec: {
    group: gadgetType.group,
    scope: 'Namespaced',
    names: { plural: gadgetType.plural, singular: 'gadget', kind: gadgetType.kind, listKind: 'GadgetList' },
    versions: [
      {
        name: gadgetType.version,
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        },
      },
    ],
  },
};
