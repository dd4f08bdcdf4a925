/** deploy/ as people install it: the base with components, built by kustomize, against a real API server. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ports as cachePorts } from '../../src/cache/ports.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { objectPath } from '../kubernetes/object-path.ts';
import { startControlPlane } from '../support/control-plane.ts';
import { componentNames, deployFolder, kustomize, kustomizeBuild } from '../support/kustomize.ts';
import type { Live } from '../support/operator-world.ts';
import { assertRestricted } from '../support/pod-security.ts';
import { nameOf, sortedObjects } from '../support/same-objects.ts';

const schemes = [[], ['hostess'], ['services']];
const engines = [[], ['rewriting', 'webhook'], ['rewriting', 'policy'], ['rewriting', 'webhook', 'policy']];
/** What says something of the scheme or the engine; all others can be taken beside any of them, namespaces last. */
const choices = new Set([...schemes, ...engines].flat());
const places = ['namespace', 'imageswap-namespace'];
const extras = (await componentNames()).filter((name) => !choices.has(name) && !places.includes(name));
/** Of each choice the one that brings most, in a namespace of its own. */
const everythingThere = [...extras, 'services', 'rewriting', 'webhook', 'policy', 'namespace'];

const plane = await startControlPlane();
test.after.always(() => plane.stop());
test.before(async () => {
  for (const crds of ['cert-manager', 'monitoring'])
    await plane.applyCrd(join(import.meta.dirname, `fixtures/${crds}-crds.yaml`));
  for (const name of ['registry-mirrors', 'elsewhere', 'imageswap-system'])
    await plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
});

test('the API server takes every combination of components, strictly', async (t) => {
  const combinations = schemes.flatMap((scheme) => engines.map((engine) => [...scheme, ...engine]));
  const sets = [
    ...combinations,
    ...combinations.map((chosen) => [...chosen, ...extras, ...places]),
    ...combinations.map((chosen) => [...chosen, 'imageswap-namespace']),
    ...[...extras, ...places].map((name) => [name]),
  ];
  const seen = new Set<string>();
  for (const components of sets) {
    const objects = await kustomizeBuild(components);
    t.deepEqual(duplicates(objects), [], components.join());
    for (const object of objects) {
      const text = JSON.stringify(object);
      if (seen.has(text)) continue;
      seen.add(text);
      await t.notThrowsAsync(dryRun(object), `${components}: ${object.kind} ${object.metadata.name}`);
    }
  }
  t.log(`${sets.length} combinations, ${seen.size} different objects`);
});

test('the order of components that go together does not matter', async (t) => {
  const chosen = ['services', 'rewriting', 'webhook', 'foreign-hostess'];
  const expected = sortedObjects(await kustomizeBuild(chosen));
  for (const other of [chosen.toReversed(), ['webhook', 'services', 'foreign-hostess', 'rewriting']])
    t.deepEqual(sortedObjects(await kustomizeBuild(other)), expected, other.join());
});

test('component hostess says what the base does', async (t) => {
  t.deepEqual(sortedObjects(await kustomizeBuild(['hostess'])), sortedObjects(await kustomizeBuild([])));
});

test('component namespace brings everything there, with the level that node agents need', async (t) => {
  const objects = await kustomizeBuild(everythingThere);
  t.deepEqual(placesOf(objects), ['registry-mirrors']);
  t.deepEqual(labelsOf(objects, 'Namespace', 'registry-mirrors'), {
    'pod-security.kubernetes.io/enforce': 'privileged',
  });
});

test('what docs/operations.md deletes with is all but the namespace, whose volumes stay', async (t) => {
  const docs = await readFile(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');
  const [, label = ''] = /kubectl delete -k OVERLAY -l '!(\S+)'/.exec(docs) ?? [];
  const objects = await kustomizeBuild(everythingThere);
  const left = objects.filter(({ metadata }) => Object.keys(metadata.labels ?? {}).includes(label));
  t.deepEqual(left.map(nameOf), objects.filter(({ kind }) => kind === 'Namespace').map(nameOf));
  t.is(left.length, 1);
});

test('component imageswap-namespace moves the rights to imageswap’s map, and who looks for it there', async (t) => {
  const chosen = ['services', 'rewriting', 'webhook', 'namespace', 'imageswap-namespace'];
  const objects = (await kustomizeBuild(chosen)) as Live[];
  const moved = objects.filter(({ metadata }) => metadata.namespace === 'imageswap-system');
  const names = ['operator-imageswap-map', 'rewriting-imageswap-map'].map(
    (name) => `registry-mirror-${name}`,
  );
  t.deepEqual(
    moved.map(nameOf).sort(),
    ['Role', 'RoleBinding'].flatMap((kind) =>
      [...names, 'registry-rewrite-webhook'].map((name) => `${kind} imageswap-system/${name}`),
    ),
  );
  t.deepEqual(placesOf(moved), ['imageswap-system', 'registry-mirrors'], 'who is bound stays');
  for (const name of ['registry-mirror-operator', 'registry-rewrite-webhook'])
    t.is(variable(containerOf(objects, name), 'IMAGESWAP_NAMESPACE'), 'imageswap-system');
});

test('every pod of deploy/ is admitted where Pod Security restricted is enforced', async (t) => {
  const objects = await kustomizeBuild(['services', 'rewriting', 'webhook', ...extras]);
  t.deepEqual(await assertRestricted(plane, objects), [
    'registry-mirror-operator',
    'registry-rewrite-webhook',
  ]);
});

test('an image that is set in the base is that of every pod, and nothing names another to the operator', async (t) => {
  const copy = await mkdtemp(join(tmpdir(), 'deploy-'));
  t.teardown(() => rm(copy, { recursive: true }));
  await cp(deployFolder, copy, { recursive: true });
  const image = 'registry.example/mirrors/operator:9';
  await kustomize(['edit', 'set', 'image', `registry-mirror-operator=${image}`], join(copy, 'base'));
  const objects = await kustomizeBuild(['rewriting', 'webhook', 'namespace'], {}, copy);
  t.is(containerOf(objects, 'registry-mirror-operator').image, image);
  t.is(containerOf(objects, 'registry-rewrite-webhook').image, image);
  t.is(variable(containerOf(objects, 'registry-mirror-operator'), 'OPERATOR_IMAGE'), undefined);
});

test('an overlay with an image, a namespace and variables of its own gets all of them', async (t) => {
  const image = 'registry.example/mirrors/operator:9';
  const objects = await kustomizeBuild(['rewriting', 'webhook'], {
    namespace: 'elsewhere',
    images: [{ name: 'registry-mirror-operator', newName: 'registry.example/mirrors/operator', newTag: '9' }],
    configMapGenerator: [{ name: 'registry-rewrite', literals: ['GILLY_REGISTRY=my.internal.repo'] }],
  });
  const [operator, webhook] = ['registry-mirror-operator', 'registry-rewrite-webhook'].map((name) =>
    containerOf(objects, name),
  );
  t.is(operator.image, image);
  t.is(webhook.image, image);
  t.is(variable(operator, 'OPERATOR_IMAGE'), undefined, 'it reads its own, which is the new one');
  const configMap = objects.find(({ kind }) => kind === 'ConfigMap')!;
  t.is(configMap.metadata.namespace, 'elsewhere');
  t.regex(
    configMap.metadata.name,
    /^registry-rewrite-./,
    'a change makes another name, which rolls the pods',
  );
  for (const { envFrom } of [operator, webhook]) t.is(envFrom[0].configMapRef.name, configMap.metadata.name);
  for (const object of objects) await t.notThrowsAsync(dryRun(object), object.metadata.name);
});

test('component services makes the operator’s probe --map-check, and mirrors rules of the webhook', async (t) => {
  for (const components of [
    ['services', 'rewriting', 'webhook'],
    ['rewriting', 'webhook', 'services'],
  ]) {
    const objects = await kustomizeBuild(components);
    const operator = containerOf(objects, 'registry-mirror-operator');
    t.deepEqual(operator.livenessProbe.exec.command, ['registry-mirror-operator', '--map-check']);
    t.is(operator.livenessProbe.httpGet, undefined);
    t.is(variable(operator, 'ADDRESSING_SCHEME'), 'services');
    t.is(variable(containerOf(objects, 'registry-rewrite-webhook'), 'ADDRESSING_SCHEME'), 'services');
  }
});

test('the last of webhook and policy says who rewrites', async (t) => {
  for (const [components, engine] of [
    [['rewriting', 'webhook'], 'webhook'],
    [['rewriting', 'policy'], 'policy'],
    [['rewriting', 'webhook', 'policy'], 'policy'],
    [['rewriting', 'policy', 'webhook'], 'webhook'],
  ] as const) {
    const operator = containerOf(await kustomizeBuild(components), 'registry-mirror-operator');
    t.is(variable(operator, 'REWRITE_ENGINE'), engine, components.join());
  }
});

test('policies name ports that the pods have', async (t) => {
  const objects = await kustomizeBuild(['rewriting', 'webhook', 'networkpolicy']);
  const deployments = objects.filter(({ kind }) => kind === 'Deployment') as Live[];
  for (const policy of objects.filter(({ kind }) => kind === 'NetworkPolicy') as Live[]) {
    const labels = policy.spec.podSelector.matchLabels;
    const named = deployments.find(({ spec }) =>
      Object.entries(labels).every(([key, value]) => spec.template.metadata.labels[key] === value),
    );
    const own = named?.spec.template.spec.containers[0].ports.map(({ name }: Live) => name);
    const asked = policy.spec.ingress.flatMap((rule: Live) => rule.ports.map(({ port }: Live) => port));
    t.deepEqual(asked.sort(), (own ?? Object.keys(cachePorts)).sort(), policy.metadata.name);
  }
});

function dryRun(object: KubeObject): Promise<unknown> {
  const query = 'fieldManager=test&force=true&dryRun=All&fieldValidation=Strict';
  return objectPath(object, (path) => plane.adminFetch(path)).then((path) =>
    plane.adminFetch(`${path}?${query}`, {
      method: 'PATCH',
      contentType: 'application/apply-patch+yaml',
      body: object,
    }),
  );
}

/** The namespaces of objects and of who is bound by them. */
function placesOf(objects: readonly KubeObject[]): string[] {
  const named = objects.flatMap(({ metadata, subjects }: Live) => [
    metadata.namespace,
    ...(subjects ?? []).map(({ namespace }: Live) => namespace),
  ]);
  return [...new Set(named)].filter(Boolean).sort();
}

function duplicates(objects: readonly KubeObject[]): string[] {
  const names = objects.map(nameOf);
  return names.filter((name, index) => names.indexOf(name) !== index);
}

function labelsOf(objects: readonly KubeObject[], kind: string, name: string): unknown {
  return objects.find((object) => object.kind === kind && object.metadata.name === name)?.metadata['labels'];
}

function containerOf(objects: readonly KubeObject[], deployment: string): Live {
  const found = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === deployment);
  return (found as Live).spec.template.spec.containers[0];
}

function variable(container: Live, name: string): string | undefined {
  return container.env.find((one: Live) => one.name === name)?.value;
}
