/**
 * Image rewriting by every engine: the policy on the real API server, and the rules as a function, whose answers are what users were promised. Each test
 * runs for each of them. How many rule sets the comparison at random takes is told by REWRITE_COMPARISONS (and its seed by REWRITE_SEED).
 */
import test from 'ava';
import fc from 'fast-check';
import { compileRules, rewriteImage } from '../../src/image/rules/table.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { images, ruleSources, type Vector, vectorSources, vectors } from '../support/rewriting/cases.ts';
import {
  imagesOf,
  originalsOf,
  type Pod,
  type Question,
  type RewriteEngine,
} from '../support/rewriting/engine.ts';
import { FunctionEngine } from '../support/rewriting/function-engine.ts';
import { PolicyEngine } from '../support/rewriting/policy-engine.ts';
import { WebhookEngine } from '../support/rewriting/webhook-engine.ts';
import { startWebhookWorld, type WebhookWorld } from '../support/webhook-world.ts';

let plane: ControlPlane;
let policy: PolicyEngine;
let webhookWorld: WebhookWorld;
let webhook: WebhookEngine;
const engines: Readonly<Record<string, () => RewriteEngine>> = {
  policy: () => policy,
  webhook: () => webhook,
  function: () => rules,
};
const rules = new FunctionEngine();

test.before(async (t) => {
  t.timeout(900_000, 'the programs may have to be built first');
  plane = await startControlPlane();
  await plane.applyCrd('crds/rewriterules.k8s.osp.tech.yaml');
  policy = new PolicyEngine(plane);
  webhookWorld = await startWebhookWorld();
  webhook = new WebhookEngine(webhookWorld);
});
test.after.always(async () => {
  await webhookWorld?.end();
  await plane?.stop();
});

const enabled = { 'k8s.twr.io/imageswap': 'enabled' };
const digest = `sha256:${'a'.repeat(64)}`;

function pod(image: string, rest: Partial<Pod['spec']> = {}, metadata: Pod['metadata'] = {}): Pod {
  return { metadata, spec: { containers: [{ name: 'app', image }], ...rest } };
}

function imageMap(namespace: string, map: Record<string, string>, name = 'boot') {
  const lines = Object.entries(map).map(([from, to]) => ({ from, to }));
  return { namespace, name, creationTimestamp: '2026-01-01T00:00:00Z', map: lines };
}

/** Vectors with one map are one question. */
function vectorQuestions(): [Question, Vector[]][] {
  const byMap = Map.groupBy(vectors, (vector) => JSON.stringify(vectorSources(vector)));
  return [...byMap.values()].map((some) => [
    { sources: vectorSources(some[0] as Vector), images: some.map(({ image }) => image) },
    some,
  ]);
}

for (const [name, engineOf] of Object.entries(engines)) {
  const rewritten = async (namespace: string, image: string, rest: Partial<Pod['spec']> = {}) =>
    imagesOf(await engineOf().create(namespace, pod(image, rest)))['containers/app'];

  test.serial(`${name}: all 65 recorded vectors have the right answer`, async (t) => {
    const questions = vectorQuestions();
    const answers = await engineOf().answers(questions.map(([question]) => question));
    const left: string[] = [];
    for (const [at, [, some]] of questions.entries()) {
      const answer = answers[at] ?? [];
      if ('leftToWebhook' in answer)
        left.push(...some.map(({ image }) => `${image}: ${answer.leftToWebhook}`));
      else for (const [index, { image, expected }] of some.entries()) t.is(answer[index], expected ?? image);
    }
    t.is(vectors.length, 65);
    t.deepEqual(left, [], 'left to the webhook');
  });

  test.serial(
    `${name}: containers, init containers and image volumes are rewritten, and what they were is kept`,
    async (t) => {
      await engineOf().load({
        sources: { imageswap: { map: 'default::mirror.local' } },
        namespaces: { kinds: enabled },
      });
      const admitted = await engineOf().create(
        'kinds',
        pod(
          'nginx:1',
          {
            initContainers: [
              { name: 'init', image: 'gcr.io/a/b' },
              { name: 'left', image: 'mirror.local/x' },
            ],
            volumes: [{ name: 'data', image: { reference: `quay.io/x@${digest}` } }, { name: 'other' }],
          },
          { annotations: { mine: 'stays' } },
        ),
      );
      t.deepEqual(imagesOf(admitted), {
        'containers/app': 'mirror.local/nginx:1',
        'initContainers/init': 'mirror.local/a/b',
        'initContainers/left': 'mirror.local/x',
        'volumes/data': `mirror.local/x@${digest}`,
      });
      t.deepEqual(originalsOf(admitted), {
        'original-image.k8s.osp.tech/app': 'nginx:1',
        'original-image.k8s.osp.tech/init': 'gcr.io/a/b',
        'original-volume-image.k8s.osp.tech/data': `quay.io/x@${digest}`,
      });
      t.is(admitted.metadata?.annotations?.['mine'], 'stays');
      t.deepEqual(
        imagesOf(await engineOf().create('kinds', admitted)),
        imagesOf(admitted),
        'again nothing changes',
      );
    },
  );

  test.serial(`${name}: an update changes only images that changed`, async (t) => {
    await engineOf().load({
      sources: { imageswap: { map: 'default::mirror.local' } },
      namespaces: { updates: enabled },
    });
    const before = pod('old:1', { initContainers: [{ name: 'init', image: 'also-old:1' }] });
    const update = (after: Pod, subresource?: 'ephemeralcontainers') =>
      engineOf().update({ namespace: 'updates', before, after, ...(subresource && { subresource }) });
    const labelled = await update({ ...before, metadata: { labels: { new: 'label' } } });
    t.deepEqual(imagesOf(labelled), imagesOf(before));
    const newImage = await update(
      pod('new:2', before.spec.initContainers && { initContainers: before.spec.initContainers }),
    );
    t.deepEqual(imagesOf(newImage), {
      'containers/app': 'mirror.local/new:2',
      'initContainers/init': 'also-old:1',
    });
    t.deepEqual(originalsOf(newImage), { 'original-image.k8s.osp.tech/app': 'new:2' });
    const debugged = await update(
      { ...before, spec: { ...before.spec, ephemeralContainers: [{ name: 'debug', image: 'busybox' }] } },
      'ephemeralcontainers',
    );
    t.deepEqual(imagesOf(debugged), {
      ...imagesOf(before),
      'ephemeralContainers/debug': 'mirror.local/busybox',
    });
    t.deepEqual(originalsOf(debugged), {});
  });

  test.serial(`${name}: an annotation goes with the image that it was for`, async (t) => {
    await engineOf().load({
      sources: { imageswap: { map: 'default::mirror.local' } },
      namespaces: { stale: enabled },
    });
    const annotations = { 'original-image.k8s.osp.tech/app': 'nginx', other: 'stays' };
    const before = pod('mirror.local/nginx', {}, { annotations });
    const after = await engineOf().update({
      namespace: 'stale',
      before,
      after: pod('mirror.local/mine', {}, { annotations }),
    });
    t.deepEqual(originalsOf(after), {});
    t.is(after.metadata?.annotations?.['other'], 'stays');
    const same = await engineOf().update({
      namespace: 'stale',
      before,
      after: pod('mirror.local/nginx', {}, { annotations: { ...annotations, more: 'x' } }),
    });
    t.deepEqual(originalsOf(same), { 'original-image.k8s.osp.tech/app': 'nginx' });
  });

  test.serial(`${name}: without annotations nothing is kept`, async (t) => {
    await engineOf().load({
      sources: { imageswap: { map: 'default::mirror.local' } },
      settings: { annotate: false },
      namespaces: { plain: enabled },
    });
    const admitted = await engineOf().create('plain', pod('nginx'));
    t.deepEqual(imagesOf(admitted), { 'containers/app': 'mirror.local/nginx' });
    t.deepEqual(originalsOf(admitted), {});
  });

  test.serial(`${name}: ImageMaps are for their own namespace, and come before all else`, async (t) => {
    const gilly = { registry: 'my.repo', exclude: [], keepSource: false };
    await engineOf().load({
      sources: {
        imageMaps: [
          imageMap('one', { nginx: 'one.local/nginx' }),
          imageMap('two', { nginx: 'two.local/nginx', alpine: 'alpine' }),
        ],
        gilly,
      },
      namespaces: { one: {}, two: {}, three: {} },
    });
    t.is(await rewritten('one', 'nginx'), 'one.local/nginx');
    t.is(await rewritten('two', 'nginx'), 'two.local/nginx');
    t.is(await rewritten('three', 'nginx'), 'my.repo/nginx');
    t.is(await rewritten('one', 'nginx:latest'), 'my.repo/nginx:latest', 'to the letter');
    t.is(await rewritten('two', 'alpine'), 'alpine', 'mapped to itself');
    t.is(await rewritten('one', 'one.local/nginx'), 'one.local/nginx', 'what one makes is final');
    t.is(await rewritten('two', 'one.local/nginx'), 'my.repo/nginx');
  });

  test.serial(`${name}: labels of namespaces say which sources count`, async (t) => {
    const gilly = { registry: 'my.repo', exclude: [], keepSource: false };
    const sources = {
      imageMaps: ['maps', 'no-maps', 'off', 'kube-system'].map((namespace) =>
        imageMap(namespace, { nginx: 'map.local/nginx' }),
      ),
      imageswap: { map: 'default::swap.local' },
      gilly,
    };
    const namespaces = {
      maps: enabled,
      'no-maps': { ...enabled, 'image-mapper-webhook.image-relocation.pivotal.io/enabled': 'false' },
      off: { 'k8s.twr.io/imageswap': 'disabled' },
      swapped: enabled,
      plain: {},
      'kube-system': {},
    };
    await engineOf().load({ sources, namespaces });
    t.is(await rewritten('maps', 'nginx'), 'map.local/nginx');
    t.is(await rewritten('maps', 'alpine'), 'swap.local/alpine');
    t.is(await rewritten('no-maps', 'nginx'), 'swap.local/nginx');
    t.is(await rewritten('off', 'nginx'), 'nginx');
    t.is(await rewritten('swapped', 'nginx'), 'swap.local/nginx');
    t.is(await rewritten('plain', 'nginx'), 'my.repo/nginx');
    t.is(await rewritten('kube-system', 'nginx'), 'nginx');
    await engineOf().load({ sources, namespaces, settings: { namespaces: 'labelled' } });
    t.is(await rewritten('plain', 'nginx'), 'nginx');
    t.is(await rewritten('swapped', 'nginx'), 'swap.local/nginx');
  });

  test.serial(`${name}: labels of pods, and controllers that compare images, leave pods alone`, async (t) => {
    await engineOf().load({
      sources: { gilly: { registry: 'my.repo', exclude: [], keepSource: false } },
      settings: { disableLabel: 'example.com/keep', skipOwners: ['Cluster.postgresql.cnpg.io', 'Job.batch'] },
      namespaces: { guarded: {} },
    });
    const created = async (metadata: Pod['metadata']) =>
      imagesOf(await engineOf().create('guarded', pod('nginx', {}, metadata)))['containers/app'];
    const owner = (kind: string, apiVersion: string, controller: boolean) => ({
      ownerReferences: [{ kind, apiVersion, controller, name: 'x', uid: 'x' }],
    });
    t.is(await created({ labels: { 'example.com/keep': 'disabled' } }), 'nginx');
    t.is(await created({ labels: { 'example.com/keep': 'no' } }), 'my.repo/nginx');
    t.is(await created({ labels: { 'app.kubernetes.io/managed-by': 'registry-mirror-operator' } }), 'nginx');
    t.is(await created(owner('Cluster', 'postgresql.cnpg.io/v1', true)), 'nginx');
    t.is(await created(owner('Job', 'batch/v1', true)), 'nginx');
    t.is(await created(owner('Cluster', 'postgresql.cnpg.io/v1', false)), 'my.repo/nginx');
    t.is(await created(owner('Cluster', 'other.io/v1', true)), 'my.repo/nginx');
    const update = {
      namespace: 'guarded',
      before: pod('a:1'),
      after: pod('a:2', {}, { labels: { 'example.com/keep': 'disabled' } }),
    };
    t.deepEqual(
      imagesOf(await engineOf().update(update)),
      { 'containers/app': 'a:2' },
      'the labels that come count',
    );
  });

  test.serial(`${name}: mirror pods stay, as the nodes’ manifests have them`, async (t) => {
    await engineOf().load({
      sources: { gilly: { registry: 'my.repo', exclude: [], keepSource: false } },
      namespaces: { static: {} },
    });
    const shown = (image: string, annotations: Record<string, string>) =>
      pod(image, { nodeName: 'node' }, { annotations });
    const mirror = { 'kubernetes.io/config.mirror': '2ad3ad1b0e2ae2e4cf2c42dc8e0f6b3c' };
    const made = await engineOf().create('static', shown('nginx:1', mirror));
    t.deepEqual(imagesOf(made), { 'containers/app': 'nginx:1' });
    t.deepEqual(originalsOf(made), {});
    const update = { namespace: 'static', before: shown('nginx:1', mirror), after: shown('nginx:2', mirror) };
    t.deepEqual(imagesOf(await engineOf().update(update)), { 'containers/app': 'nginx:2' });
    const other = await engineOf().create(
      'static',
      shown('nginx:1', { 'kubernetes.io/config.source': 'api' }),
    );
    t.deepEqual(imagesOf(other), { 'containers/app': 'my.repo/nginx:1' });
  });

  test.serial(
    `${name}: mirrors are for pods without pull secrets, and only while they are available`,
    async (t) => {
      const mirrors = [
        { name: 'hub', masquerade: 'docker.io', address: '10.0.0.1', available: true },
        { name: 'quay', masquerade: 'quay.io', address: '10.0.0.2', available: false },
      ];
      await engineOf().load({ sources: { mirrors }, namespaces: { mirrored: {} } });
      t.is(await rewritten('mirrored', 'nginx'), '10.0.0.1/docker.io/library/nginx');
      t.is(await rewritten('mirrored', 'index.docker.io/org/app:1'), '10.0.0.1/docker.io/org/app:1');
      t.is(await rewritten('mirrored', 'quay.io/x'), 'quay.io/x');
      t.is(await rewritten('mirrored', 'nginx', { imagePullSecrets: [{ name: 'mine' }] }), 'nginx');
      const gilly = { registry: 'my.repo', exclude: [], keepSource: false };
      await engineOf().load({ sources: { mirrors, gilly }, namespaces: { mirrored: {} } });
      t.is(await rewritten('mirrored', 'nginx', { imagePullSecrets: [{ name: 'mine' }] }), 'my.repo/nginx');
      t.is(
        await rewritten('mirrored', '10.0.0.2/quay.io/x'),
        '10.0.0.2/quay.io/x',
        'what a mirror made stays',
      );
    },
  );

  test.serial(`${name}: what a node or Windows needs, and images that are never pulled, stay`, async (t) => {
    const mirrors = [{ name: 'hub', masquerade: 'docker.io', address: '10.0.0.1', available: true }];
    await engineOf().load({ sources: { mirrors }, namespaces: { passed: {} } });
    const made = '10.0.0.1/docker.io/library/nginx';
    for (const [rest, expected] of [
      [{}, made],
      [{ priorityClassName: 'system-cluster-critical' }, made],
      [{ nodeSelector: { 'kubernetes.io/os': 'linux' } }, made],
      [{ priorityClassName: 'system-node-critical' }, 'nginx'],
      [{ os: { name: 'windows' } }, 'nginx'],
      [{ nodeSelector: { 'kubernetes.io/os': 'windows' } }, 'nginx'],
    ] as const)
      t.is(await rewritten('passed', 'nginx', rest), expected, JSON.stringify(rest));
    const containers = [
      { name: 'app', image: 'nginx', imagePullPolicy: 'Never' },
      { name: 'other', image: 'nginx', imagePullPolicy: 'IfNotPresent' },
    ];
    const volumes = [
      { name: 'app', image: { reference: 'nginx', pullPolicy: 'Never' } },
      { name: 'data', image: { reference: 'nginx', pullPolicy: 'Always' } },
    ];
    t.deepEqual(imagesOf(await engineOf().create('passed', { spec: { containers, volumes } })), {
      'containers/app': 'nginx',
      'containers/other': made,
      'volumes/app': 'nginx',
      'volumes/data': made,
    });
  });

  test.serial(
    `${name}: gilly leaves what is excluded, and keeps the source where it is told to`,
    async (t) => {
      const exclude = ['quay.io', 'host:5000', '.example.com', 'sf-artifactory.', 'g?r.*'];
      await engineOf().load({
        sources: { gilly: { registry: 'my.repo/p', exclude, keepSource: true } },
        namespaces: { gilly: {} },
      });
      for (const left of [
        'quay.io/a',
        'quay.io:443/a',
        'host:5000/a',
        'x.example.com:1/a',
        'my.sf-artifactory.io/a',
        'gcr.io/a',
        'my.repo/p/a',
      ])
        t.is(await rewritten('gilly', left), left);
      t.is(await rewritten('gilly', 'host:5001/a'), 'my.repo/p/host_5001/a');
      t.is(await rewritten('gilly', 'GHCR.IO/a:T'), 'my.repo/p/ghcr.io/a:T');
      t.is(await rewritten('gilly', 'nginx'), 'my.repo/p/docker.io/library/nginx');
      t.is(await rewritten('gilly', '[fd00::1]:5000/a'), '[fd00::1]:5000/a', 'no path has brackets');
    },
  );
}

test.serial('whatever the rules and the images, the policy’s answers are those of the rules', async (t) => {
  const numRuns = Number(process.env['REWRITE_COMPARISONS'] ?? 200);
  const seed = Number(process.env['REWRITE_SEED'] ?? 1);
  t.timeout(60_000 + numRuns * 1_000);
  const cases = fc.sample(
    fc.tuple(ruleSources, fc.array(images, { minLength: 40, maxLength: 40 }), fc.boolean()),
    { seed, numRuns },
  );
  // What came out is asked as well: it stays.
  const asked = cases.map(([sources, some, hasPullSecrets]) => {
    const table = compileRules(sources);
    const request = { namespace: 'team', bypass: hasPullSecrets ? ('pullSecrets' as const) : undefined };
    const results = some.map((image) => rewriteImage(table, image, request).result);
    return { sources, images: [...some, ...results], hasPullSecrets };
  });
  const expected = await rules.answers(asked);
  const answers = await policy.answers(asked);
  const figures = { sets: numRuns, onPolicy: 0, images: 0, rewritten: 0 };
  for (const [at, answer] of answers.entries()) {
    if ('leftToWebhook' in answer) continue;
    figures.onPolicy += 1;
    const question = asked[at] as Question;
    for (const [index, image] of question.images.entries()) {
      const right = (expected[at] as readonly string[])[index];
      figures.images += 1;
      if (right !== image) figures.rewritten += 1;
      if (answer[index] !== right)
        t.fail(JSON.stringify({ image, is: answer[index], should: right, ...question, images: undefined }));
    }
  }
  t.log(figures);
  t.true(figures.onPolicy > numRuns * 0.7);
  t.true(figures.rewritten > figures.images * 0.1);
});
