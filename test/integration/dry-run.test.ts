/** Every rendered object against a real API server: strict validation, Pod Security. Those of deploy/: kustomize.test.ts. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { loadAll } from 'js-yaml';
import { quantityNanos } from '../../src/api/quantity.ts';
import type { RegistryMirror } from '../../src/api/registry-mirror.ts';
import { readMirrorDocuments } from '../../src/cli/mirror-documents.ts';
import { renderMirrors } from '../../src/cli/render-mirrors.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { objectPath } from '../kubernetes/object-path.ts';
import { dualStackServices, startControlPlane } from '../support/control-plane.ts';
import {
  allObjects,
  everyField,
  everyVariable,
  mirrorOf,
  restoreDaemonSet,
  settingsOf,
} from '../unit/resources/fixtures.ts';

const root = join(import.meta.dirname, '../..');
const plane = await startControlPlane({ serviceIpRange: dualStackServices });
test.after.always(() => plane.stop());

const clusterIPs = ['10.96.7.1', 'fd00:96::71'];
const plain = { mirror: mirrorOf({ upstreamUrl: 'docker.io' }), settings: settingsOf() };
const full = { mirror: mirrorOf(everyField), settings: settingsOf(everyVariable) };
const services = { ...plain, settings: settingsOf({ ADDRESSING_SCHEME: 'services' }) };
const foreign = { ...plain, settings: settingsOf({ HOSTESS_DOCKER_IMAGE: 'other/hostess' }) };

test.before(async () => {
  await plane.applyCrd(join(import.meta.dirname, 'fixtures/cert-manager-crds.yaml'));
  await plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mirrors' } });
  for (const level of ['restricted', 'privileged']) await makeNamespace(level);
});

for (const [name, objects] of Object.entries({
  'a mirror of defaults': allObjects(plain, clusterIPs),
  'a mirror with every field and variable': allObjects(full, clusterIPs),
  'services mode': allObjects(services, clusterIPs),
  'a foreign hostess': allObjects(foreign, clusterIPs),
  'restoring nodes': [restoreDaemonSet(full)],
})) {
  test(`the API server takes every object of ${name}, strictly`, async (t) => {
    for (const object of objects) await t.notThrowsAsync(dryRun(object as KubeObject), object.metadata.name);
  });
}

test('the API server takes what render prints for every example', async (t) => {
  for (const mirrors of await exampleMirrors()) {
    for (const scheme of ['hostess', 'services']) {
      const settings = settingsOf({ ADDRESSING_SCHEME: scheme });
      const { text } = renderMirrors(mirrors, settings, { others: clusterIPs, byMirror: new Map() });
      for (const object of loadAll(text) as KubeObject[]) await t.notThrowsAsync(dryRun(object));
    }
  }
});

test('a field that does not exist is refused: the checks above can fail', async (t) => {
  const [secret] = allObjects(plain);
  await t.throwsAsync(dryRun({ ...secret, dada: {} } as unknown as KubeObject), {
    message: /unknown field|dada/,
  });
});

test('what is written is what is read back, so that nothing is written twice', async (t) => {
  await plane.apply({
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: 'user-standard' },
    value: 1,
  });
  for (const object of [...allObjects(full, clusterIPs), restoreDaemonSet(plain)]) {
    const written = await plane.apply(object as KubeObject);
    t.deepEqual(missing(object, written), [], `${object.kind} ${object.metadata.name}`);
  }
});

test('a Service gets both families where there are two, and its addresses again when it was lost', async (t) => {
  const input = { ...plain, mirror: mirrorOf({ upstreamUrl: 'quay.io' }, { name: 'lost' }) };
  const [service] = allObjects(input, []).filter(({ kind }) => kind === 'Service') as [KubeObject];
  const path = '/api/v1/namespaces/default/services/registry-mirror-lost';
  const first = (await plane.apply<Service>(service)).spec.clusterIPs;
  t.is(first.length, 2);
  await plane.adminFetch(path, { method: 'DELETE' });
  const [again] = allObjects(input, first).filter(({ kind }) => kind === 'Service') as [KubeObject];
  t.deepEqual((await plane.apply<Service>(again)).spec.clusterIPs, first);
});

test('cache pods are admitted where Pod Security restricted is enforced, node agents are not', async (t) => {
  for (const input of [plain, full, foreign]) {
    const cache = podOf(allObjects(input), 'StatefulSet');
    await t.notThrowsAsync(create(cache, 'restricted'));
    await t.throwsAsync(create(podOf(allObjects(input), 'DaemonSet'), 'restricted'), {
      message: /violates PodSecurity "restricted/,
    });
    await t.notThrowsAsync(create(podOf(allObjects(input), 'DaemonSet'), 'privileged'));
  }
});

interface Service extends KubeObject {
  spec: { clusterIPs: string[] };
}

interface Workload extends KubeObject {
  spec: {
    template: {
      metadata: object;
      spec: { volumes: object[] };
    };
  };
}

async function makeNamespace(level: string): Promise<void> {
  const labels = { 'pod-security.kubernetes.io/enforce': level };
  await plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: level, labels } });
  for (const name of ['default', 'mirror-hostess', 'registry-mirror-operator']) {
    await plane.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: level } });
  }
}

async function pathOf(object: KubeObject): Promise<string> {
  return objectPath(object, (path) => plane.adminFetch(path));
}

/** A strict server-side apply that stores nothing. */
async function dryRun(object: KubeObject): Promise<void> {
  const query = 'fieldManager=test&force=true&dryRun=All&fieldValidation=Strict';
  await plane.adminFetch(`${await pathOf(object)}?${query}`, {
    method: 'PATCH',
    contentType: 'application/apply-patch+yaml',
    body: object,
  });
}

async function create(pod: KubeObject, namespace: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All&fieldValidation=Strict`;
  await plane.adminFetch(path, { method: 'POST', body: pod });
}

/** The first pod that a workload of `kind` would make; its claim is an emptyDir. */
function podOf(objects: readonly object[], kind: string): KubeObject {
  const { template } = (objects as Workload[]).find((object) => object.kind === kind)!.spec;
  const volumes = [...(template.spec.volumes ?? []), { name: 'image-store', emptyDir: {} }];
  const { priorityClassName: _, ...spec } = template.spec as Record<string, unknown>;
  const metadata = { ...template.metadata, name: 'pod' };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, volumes } };
}

/** Paths of a desired object that are absent from the stored one, or another value there. */
function missing(desired: unknown, stored: unknown, path = ''): string[] {
  // That nobody sets the field is desired, and it is not stored.
  if (desired === null) return stored === undefined ? [] : [path];
  if (typeof desired !== 'object') return isSame(desired, stored) ? [] : [path];
  if (stored === null || typeof stored !== 'object') return [path];
  return Object.entries(desired).flatMap(([key, value]) =>
    missing(value, (stored as Record<string, unknown>)[key], `${path}.${key}`),
  );
}

/** The API server rewrites quantities (`1.5Ti` to `1536Gi`). */
function isSame(desired: unknown, stored: unknown): boolean {
  const quantity = quantityNanos(desired);
  return desired === stored || (quantity !== undefined && quantity === quantityNanos(stored));
}

async function exampleMirrors(): Promise<(readonly RegistryMirror[])[]> {
  const folder = join(root, 'examples');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.yaml'));
  return Promise.all(
    names.map(async (name) => {
      const read = readMirrorDocuments(await readFile(join(folder, name), 'utf8'), name);
      if ('faults' in read) throw new Error(read.faults.join('\n'));
      return read.mirrors;
    }),
  );
}
