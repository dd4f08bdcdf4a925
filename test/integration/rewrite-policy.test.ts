/** The operator's part of rewriting by policy on a real API server, with the rights that deploy/ gives: what it makes, puts back and takes away. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'ava';
import { policyVersion } from '../kubernetes/policy-version.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.ts';
import { eventually } from '../support/eventually.ts';
import type { Live } from '../support/operator-world.ts';
import {
  type PolicyOperator,
  type PolicyOperatorOptions,
  startPolicyOperator,
} from '../support/rewriting/policy-operator.ts';

const deploy = join(import.meta.dirname, '../../deploy');
const account = { namespace: 'default', name: 'registry-mirror-operator' };
const admission = `/apis/admissionregistration.k8s.io/${policyVersion}`;
const policyPath = `${admission}/mutatingadmissionpolicies/registry-mirror-rewrite`;
const bindingsPath = `${admission}/mutatingadmissionpolicybindings`;
const crdPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/rewriterules.k8s.osp.tech';

let plane: ControlPlane;
let proxy: CountingProxy;
let running: PolicyOperator | undefined;

test.before(async (t) => {
  t.timeout(900_000, 'the programs may have to be built first');
  plane = await startControlPlane();
  for (const file of [
    'imagemaps.mapper.imagerelocation.pivotal.io',
    'rewriterules.k8s.osp.tech',
    'registrymirrors.k8s.osp.tech',
  ])
    await plane.applyCrd(`crds/${file}.yaml`);
  await plane.applyFile(join(deploy, 'base/service-accounts.yaml'));
  for (const file of ['base/rbac.yaml', 'components/rewriting/rbac.yaml'])
    await plane.applyFile(join(deploy, file));
  proxy = await startCountingProxy(plane, await plane.tokenFor(account));
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(running?.log.slice(-8).join('').slice(-2_000));
  await running?.stop();
  running = undefined;
});
test.after.always(async () => {
  await proxy?.close();
  await plane?.stop();
});

async function start(options: Partial<PolicyOperatorOptions> = {}): Promise<PolicyOperator> {
  await running?.stop();
  running = await startPolicyOperator({ access: proxy.access, ...options });
  return running;
}

const gilly = { registry: 'my.repo', exclude: [], keepSource: false };

test.serial('rules become a policy, and kubectl shows everywhere who rewrites', async (t) => {
  await namespace('team');
  await imageMap('team', { nginx: 'map.local/nginx' });
  await start({ settings: { gilly } });
  await becomes('team', 'nginx', 'map.local/nginx');
  await becomes('team', 'alpine', 'my.repo/alpine');
  await becomes('default', 'nginx', 'my.repo/nginx');
  t.like(await running?.routing(), { engine: 'policy', webhook: [] });
  const why = `the API server serves MutatingAdmissionPolicy in ${policyVersion}`;
  await rows([
    ['default/registry-mirror-rewrite-all', 'policy', 1, why],
    ['team/registry-mirror-rewrite', 'policy', 2, why],
  ]);
  const { status } = await plane.adminFetch<Live>(rulesPath('team'));
  t.like(status.conditions[0], {
    type: 'ByPolicy',
    status: 'True',
    reason: 'Compiled',
    observedGeneration: 1,
  });
});

test.serial('idle, and after a restart, nothing is written', async (t) => {
  await start({ settings: { gilly } });
  await becomes('team', 'nginx', 'map.local/nginx');
  await quiet();
  proxy.reset();
  await start({ settings: { gilly } });
  await eventually(async () => assert.equal((await running?.routing())?.engine, 'policy'));
  await quiet();
  t.deepEqual(proxy.writes(), []);
});

test.serial('what others change or delete is put back', async (t) => {
  await start({ settings: { gilly } });
  await becomes('default', 'nginx', 'my.repo/nginx');
  await quiet();
  const before = await plane.adminFetch<Live>(rulesPath('team'));
  await merge(policyPath, { spec: { failurePolicy: 'Fail', reinvocationPolicy: 'IfNeeded' } });
  await plane.adminFetch(`${bindingsPath}/registry-mirror-rewrite-all`, { method: 'DELETE' });
  await merge(rulesPath('team'), {
    spec: { rules: { images: { nginx: 'evil.local/nginx', more: 'evil.local/more' } } },
  });
  await eventually(async () => {
    const { spec } = await plane.adminFetch<Live>(policyPath);
    assert.deepEqual([spec.failurePolicy, spec.reinvocationPolicy], ['Ignore', 'Never']);
    assert.ok(await find(`${bindingsPath}/registry-mirror-rewrite-all`));
    assert.deepEqual((await plane.adminFetch<Live>(rulesPath('team'))).spec, before.spec);
  });
  await becomes('team', 'nginx', 'map.local/nginx');
  await becomes('team', 'more', 'my.repo/more');
  t.pass();
});

test.serial('a namespace that has no ImageMaps any more is one of the others', async (t) => {
  await namespace('leaving');
  await imageMap('leaving', { nginx: 'map.local/nginx' });
  await start({ settings: { gilly } });
  await becomes('leaving', 'nginx', 'map.local/nginx');
  await plane.adminFetch(imageMapPath('leaving'), { method: 'DELETE' });
  await becomes('leaving', 'nginx', 'my.repo/nginx');
  await eventually(async () => assert.equal(await find(rulesPath('leaving')), undefined));
  t.pass();
});

test.serial(
  'a namespace whose rules the policy cannot have is the webhook’s, and only that one',
  async (t) => {
    await namespace('odd');
    await imageMap('odd', { nginx: 'odd.local/nginx', ['x'.repeat(1_010)]: 'odd.local/x' });
    await start({ settings: { gilly } });
    await becomes('team', 'nginx', 'map.local/nginx');
    await eventually(async () => assert.deepEqual((await running?.routing())?.webhook, ['odd']));
    const { spec, status } = await eventually(async () => {
      const found = await plane.adminFetch<Live>(rulesPath('odd'));
      assert.equal(found.status?.engine, 'webhook');
      return found;
    });
    t.deepEqual(spec, { engine: 'webhook' });
    t.like(status, { rules: 3 });
    t.regex(status.reason, /^an image has 1010 characters/);
    t.like(status.conditions[0], { status: 'False', reason: 'NotExpressible' });
    await becomes('odd', 'nginx', 'nginx');
    await plane.adminFetch(imageMapPath('odd'), { method: 'DELETE' });
    await becomes('odd', 'nginx', 'my.repo/nginx');
  },
);

test.serial(
  'what the webhook cannot take on stays as it was, and all other namespaces follow their rules',
  async (t) => {
    const unfit = [{ from: 'a\u0085b', to: 'odd.local/x' }];
    for (const name of ['kept', 'joined', 'others']) await namespace(name);
    await imageMap('kept', { nginx: 'map.local/nginx' });
    await start({ settings: { gilly } });
    await becomes('kept', 'nginx', 'map.local/nginx');
    await becomes('joined', 'nginx', 'my.repo/nginx');
    await start({ settings: { gilly }, covered: [] });
    await merge(imageMapPath('kept'), { spec: { map: unfit } });
    await imageMap('joined', { 'a\u0085b': 'odd.local/x' });
    await eventually(async () => assert.deepEqual((await running?.routing())?.webhook, ['joined', 'kept']));
    await imageMap('others', { nginx: 'map.local/nginx' });
    await becomes('others', 'nginx', 'map.local/nginx');
    t.is(await admitted('kept', 'nginx'), 'map.local/nginx');
    t.is(await admitted('joined', 'nginx'), 'my.repo/nginx');
    t.is((await plane.adminFetch<Live>(rulesPath('kept'))).status.engine, 'policy');
    t.is(await find(rulesPath('joined')), undefined);
    await start({ settings: { gilly }, covered: ['joined', 'kept'] });
    for (const name of ['joined', 'kept']) {
      await becomes(name, 'nginx', 'nginx');
      await eventually(async () =>
        assert.equal((await plane.adminFetch<Live>(rulesPath(name))).status?.engine, 'webhook'),
      );
    }
    for (const name of ['kept', 'joined', 'others'])
      await plane.adminFetch(imageMapPath(name), { method: 'DELETE' });
    for (const name of ['kept', 'joined', 'others']) await becomes(name, 'nginx', 'my.repo/nginx');
  },
);

test.serial('images of any characters that an object can hold are keys like others', async (t) => {
  await namespace('texts');
  const odd = ['é\u{1f600}', 'a\u0001b', 'a"b\\c', '<<', 'true', '<&>', 'a: b #c'];
  await imageMap(
    'texts',
    Object.fromEntries(['nginx', ...odd].map((from, at) => [from, `texts.local/x-${at}`])),
  );
  await start({ settings: {} });
  await becomes('texts', 'nginx', 'texts.local/x-0');
  for (const [at, image] of odd.entries())
    t.is(await admitted('texts', image), `texts.local/x-${at + 1}`, image);
  await plane.adminFetch(imageMapPath('texts'), { method: 'DELETE' });
});

test.serial(
  'rules for all namespaces that the policy cannot have put everything on the webhook, until they are mended',
  async (t) => {
    const map = (text: string) =>
      plane.apply({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace: 'default', name: 'imageswap-maps' },
        data: { maps: text },
      });
    await map('default::\na.io::b.io\nb.io::c.io\n');
    await start({ settings: { imageswap: { configMapNamespace: 'default' } } });
    const why = 'the line for b.io takes on what the line for a.io makes';
    await eventually(async () => {
      assert.deepEqual(await running?.routing(), { engine: 'webhook', why, webhook: 'all' });
      assert.equal(await find(policyPath), undefined);
      assert.deepEqual((await plane.adminFetch<Live>(bindingsPath)).items, []);
    });
    await rows([
      ['default/registry-mirror-rewrite-all', 'webhook', 0, why],
      ['default/registry-mirror-rewrite-labelled', 'webhook', 3, why],
      ['team/registry-mirror-rewrite', 'webhook', 1, why],
    ]);
    t.deepEqual((await plane.adminFetch<Live>(rulesPath('team'))).spec, { engine: 'webhook' });
    await map('default::\na.io::c.io\n');
    await namespace('labelled', { 'k8s.twr.io/imageswap': 'enabled' });
    await becomes('labelled', 'a.io/x', 'c.io/x');
    await becomes('default', 'a.io/x', 'a.io/x');
  },
);

test.serial('another engine takes the policy away, and leaves what is said of the rules', async (t) => {
  await start({ settings: { gilly, engine: 'webhook' } });
  await eventually(async () => assert.equal(await find(policyPath), undefined));
  await rows([
    ['default/registry-mirror-rewrite-all', 'webhook', 1, 'REWRITE_ENGINE is webhook'],
    ['team/registry-mirror-rewrite', 'webhook', 2, 'REWRITE_ENGINE is webhook'],
  ]);
  await start({ settings: { gilly, engine: 'auto' } });
  if (policyVersion !== 'v1') {
    await eventually(async () => assert.equal((await running?.routing())?.webhook, 'all'));
    t.like(await running?.routing(), {
      engine: 'webhook',
      why: 'the API server serves MutatingAdmissionPolicy in v1beta1 only',
    });
    t.is(await find(policyPath), undefined);
    return;
  }
  await becomes('default', 'nginx', 'my.repo/nginx');
  t.like(await running?.routing(), { engine: 'policy' });
});

test.serial('without parameters, and without their kind, pods are admitted as they are', async (t) => {
  await start({ settings: { gilly } });
  await becomes('default', 'nginx', 'my.repo/nginx');
  await running?.stop();
  running = undefined;
  await plane.adminFetch(
    '/apis/k8s.osp.tech/v1alpha1/namespaces/default/rewriterules/registry-mirror-rewrite-all',
    { method: 'DELETE' },
  );
  await becomes('default', 'nginx', 'nginx');
  const crd = await plane.adminFetch<Live>(crdPath);
  await plane.adminFetch(crdPath, { method: 'DELETE' });
  await eventually(async () => assert.equal(await find(crdPath), undefined));
  const began = performance.now();
  t.is(await admitted('team', 'nginx'), 'nginx');
  t.log(`admitted after ${Math.round(performance.now() - began)} ms without the kind`);
  await start({ settings: { gilly } });
  await eventually(async () => {
    const { engine, why, webhook } = (await running?.routing()) ?? {};
    assert.deepEqual(
      [engine, why, webhook],
      ['webhook', 'CustomResourceDefinition rewriterules.k8s.osp.tech is missing', 'all'],
    );
    assert.equal(await find(policyPath), undefined);
  });
  await plane.applyCrd('crds/rewriterules.k8s.osp.tech.yaml');
  t.is(crd.spec.names.kind, 'RewriteRules');
  await becomes('team', 'nginx', 'map.local/nginx');
});

test.serial('who may not watch policies is told so, and everything is the webhook’s', async (t) => {
  const token = await plane.tokenFor({ namespace: 'default', name: 'poor' }, [
    { apiGroups: [''], resources: ['namespaces'], verbs: ['list', 'watch'] },
    { apiGroups: ['mapper.imagerelocation.pivotal.io'], resources: ['imagemaps'], verbs: ['list', 'watch'] },
    { apiGroups: ['k8s.osp.tech'], resources: ['rewriterules', 'rewriterules/status'], verbs: ['*'] },
  ]);
  const poor = await startCountingProxy(plane, token);
  t.teardown(() => poor.close());
  await start({ settings: { gilly }, access: poor.access });
  await eventually(async () => {
    const { why, webhook } = (await running?.routing()) ?? {};
    assert.match(why ?? '', /^the operator has no right to watch mutatingadmissionpolicies/);
    assert.equal(webhook, 'all');
  });
  t.pass();
});

test.serial('as long as the policy cannot be made, everything is the webhook’s', async (t) => {
  await plane.adminFetch(policyPath, { method: 'DELETE' }).catch(() => undefined);
  const token = await plane.tokenFor({ namespace: 'default', name: 'watching' }, [
    { apiGroups: [''], resources: ['namespaces'], verbs: ['list', 'watch'] },
    { apiGroups: ['mapper.imagerelocation.pivotal.io'], resources: ['imagemaps'], verbs: ['list', 'watch'] },
    { apiGroups: ['k8s.osp.tech'], resources: ['rewriterules', 'rewriterules/status'], verbs: ['*'] },
    {
      apiGroups: ['admissionregistration.k8s.io'],
      resources: ['mutatingadmissionpolicies', 'mutatingadmissionpolicybindings'],
      verbs: ['list', 'watch'],
    },
  ]);
  const watching = await startCountingProxy(plane, token);
  t.teardown(() => watching.close());
  await start({ settings: { gilly }, access: watching.access });
  await eventually(async () => {
    const { engine, why, webhook } = (await running?.routing()) ?? {};
    assert.match(why ?? '', /^the policy could not be brought about: .*403/);
    assert.deepEqual([engine, webhook], ['webhook', 'all']);
  });
  await plane.grant({ kind: 'ServiceAccount', namespace: 'default', name: 'watching' }, [
    { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  ]);
  await becomes('default', 'nginx', 'my.repo/nginx');
  await eventually(async () => assert.equal((await running?.routing())?.engine, 'policy'));
  t.pass();
});

test.serial(
  'a namespace in which nothing may be written keeps no other one from following its rules',
  async (t) => {
    for (const name of ['frozen', 'thawed']) await namespace(name);
    await refuseRulesIn('frozen');
    await imageMap('frozen', { nginx: 'map.local/nginx' });
    await start({ settings: { gilly } });
    await imageMap('thawed', { nginx: 'map.local/nginx' });
    await becomes('thawed', 'nginx', 'map.local/nginx');
    await merge(imageMapPath('thawed'), { spec: { map: [{ from: 'nginx', to: 'other.local/nginx' }] } });
    await becomes('thawed', 'nginx', 'other.local/nginx');
    const { why, webhook } = (await running?.routing()) ?? {};
    t.regex(why ?? '', /^the policy could not be brought about: .*frozen/);
    t.is(webhook, 'all', 'so that the namespace has its rules');
    for (const name of ['frozen', 'thawed']) await plane.adminFetch(imageMapPath(name), { method: 'DELETE' });
  },
);

test.serial('20,000 images in one namespace are parameters of one object', async (t) => {
  await namespace('many');
  const lines = Array.from(
    { length: 20_000 },
    (_, at) => [`quay.io/org/app-${at}:1`, `r.local/org/app-${at}:1`] as const,
  );
  await imageMap('many', Object.fromEntries(lines));
  await start({});
  const began = performance.now();
  await becomes('many', 'quay.io/org/app-19999:1', 'r.local/org/app-19999:1');
  const took = Math.round(performance.now() - began);
  const { spec, metadata } = await plane.adminFetch<Live>(rulesPath('many'));
  t.is(Object.keys(spec.rules.images).length, 20_000);
  const bytes = JSON.stringify(spec).length;
  t.true(JSON.stringify(metadata.managedFields).length < 2_000, 'no image is listed a second time');
  const latencies = await Promise.all([latency('many', 'quay.io/org/app-7:1'), latency('default', 'nginx')]);
  t.log({ bytes, inForceAfterMs: took, msPerPod: latencies[0], msPerPodElsewhere: latencies[1] });
  await plane.adminFetch(imageMapPath('many'), { method: 'DELETE' });
});

/** Milliseconds for one pod, of many. */
async function latency(inNamespace: string, image: string): Promise<number> {
  const began = performance.now();
  for (let at = 0; at < 50; at += 1) await admitted(inNamespace, image);
  return Math.round((performance.now() - began) / 5) / 10;
}

async function namespace(name: string, labels: Record<string, string> = {}): Promise<void> {
  await plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
}

function imageMapPath(inNamespace: string): string {
  return `/apis/mapper.imagerelocation.pivotal.io/v1alpha1/namespaces/${inNamespace}/imagemaps/boot`;
}

function rulesPath(inNamespace: string): string {
  return `/apis/k8s.osp.tech/v1alpha1/namespaces/${inNamespace}/rewriterules/registry-mirror-rewrite`;
}

/** As a policy of the cluster's administrators does. */
async function refuseRulesIn(inNamespace: string): Promise<void> {
  const apiVersion = 'admissionregistration.k8s.io/v1';
  const metadata = { name: 'frozen' };
  const selector = { matchLabels: { 'kubernetes.io/metadata.name': inNamespace } };
  const resourceRules = [
    {
      apiGroups: ['k8s.osp.tech'],
      apiVersions: ['*'],
      operations: ['CREATE', 'UPDATE'],
      resources: ['rewriterules'],
    },
  ];
  await plane.apply({
    apiVersion,
    kind: 'ValidatingAdmissionPolicy',
    metadata,
    spec: {
      matchConstraints: { namespaceSelector: selector, resourceRules },
      validations: [{ expression: 'false', message: 'nothing is written in frozen' }],
    },
  } as Live);
  await plane.apply({
    apiVersion,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata,
    spec: { policyName: 'frozen', validationActions: ['Deny'] },
  } as Live);
  const body = {
    apiVersion: 'k8s.osp.tech/v1alpha1',
    kind: 'RewriteRules',
    metadata: { name: 'tried' },
    spec: { engine: 'policy' },
  };
  const path = `${rulesPath(inNamespace).replace(/\/[^/]*$/, '')}?dryRun=All`;
  await eventually(() =>
    assert.rejects(plane.adminFetch(path, { method: 'POST', body }), /nothing is written/),
  );
}

/** Written by update: server-side apply takes no keys and lists of any length. */
async function imageMap(inNamespace: string, map: Record<string, string>): Promise<void> {
  const body = {
    apiVersion: 'mapper.imagerelocation.pivotal.io/v1alpha1',
    kind: 'ImageMap',
    metadata: { namespace: inNamespace, name: 'boot' },
    spec: { map: Object.entries(map).map(([from, to]) => ({ from, to })) },
  };
  await plane.adminFetch(imageMapPath(inNamespace).replace(/\/boot$/, ''), { method: 'POST', body });
}

async function merge(path: string, body: unknown): Promise<void> {
  await plane.adminFetch(path, { method: 'PATCH', contentType: 'application/merge-patch+json', body });
}

/** What the image of a pod is once it is admitted. */
async function admitted(inNamespace: string, image: string): Promise<string> {
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'pod' },
    spec: { containers: [{ name: 'app', image }] },
  };
  const pod = await plane.adminFetch<Live>(`/api/v1/namespaces/${inNamespace}/pods?dryRun=All`, {
    method: 'POST',
    body,
  });
  return pod.spec.containers[0].image;
}

async function becomes(inNamespace: string, image: string, result: string): Promise<void> {
  await eventually(async () => assert.equal(await admitted(inNamespace, image), result), {
    message: `${image} in ${inNamespace} did not become ${result}`,
  });
}

/** Waits until `kubectl get rewriterules -A` prints these rows: name, engine, rules, reason. */
async function rows(wanted: readonly (readonly unknown[])[]): Promise<void> {
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  await eventually(async () => {
    const table = await plane.adminFetch<Live>('/apis/k8s.osp.tech/v1alpha1/rewriterules', {
      headers: { accept },
    });
    assert.deepEqual(
      table.columnDefinitions.map(({ name }: Live) => name),
      ['Name', 'Engine', 'Rules', 'Reason', 'Age'],
    );
    const shown = table.rows.map(({ object, cells }: Live) => [
      `${object.metadata.namespace}/${cells[0]}`,
      ...cells.slice(1, 4),
    ]);
    assert.deepEqual(shown, wanted);
  });
}

/** Waits until nothing was written for a while. */
async function quiet(ms = 1_500): Promise<void> {
  await eventually(async () => {
    const before = proxy.writes().length;
    await new Promise((resolve) => setTimeout(resolve, ms));
    assert.equal(proxy.writes().length, before);
  });
}

async function find(path: string): Promise<Live | undefined> {
  try {
    return await plane.adminFetch<Live>(path);
  } catch (error) {
    if ((error as { code?: number }).code === 404) return undefined;
    throw error;
  }
}
