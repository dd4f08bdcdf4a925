/** The webhook behind a real API server: what becomes of pods. */
import test from 'ava';
import { Agent, request } from 'undici';
import { eventually } from '../support/eventually.ts';
import type { Live } from '../support/operator-world.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';
import { mirrorIp, webhookOfAllSources } from '../support/webhook-sources.ts';
import { imagesOf, podOf, podsOf, startWebhookWorld, type WebhookWorld } from '../support/webhook-world.ts';

let world: WebhookWorld;
let webhook: WebhookProcess;

test.before(async () => {
  world = await startWebhookWorld();
  webhook = await webhookOfAllSources(world);
  await register();
});
test.afterEach.always((t) => {
  if (!t.passed) t.log(world.lastWords());
});
test.after.always(() => world?.end());

async function register(): Promise<void> {
  await world.register([{ name: 'all', port: webhook.port, path: '/rewrite' }]);
  await world.untilCalled('team', 'ghcr.io/probe');
}

test.serial('every source rewrites what is its own, and keeps what an image was', async (t) => {
  const made = await world.create(
    podsOf('team'),
    podOf('sources', {
      map: 'nginx',
      line: 'ghcr.io/x/y:1',
      pattern: 'pattern.io/a/b:1',
      mirror: 'hub.example/x:1',
      gilly: `gcr.io/x/y@sha256:${'a'.repeat(64)}`,
      done: 'gilly.local/z',
    }),
  );
  t.deepEqual(imagesOf(made), [
    'map.local/nginx:1',
    'swap.local/x/y:1',
    'pattern.local/b:1',
    `${mirrorIp}/hub.example/x:1`,
    `gilly.local/x/y@sha256:${'a'.repeat(64)}`,
    'gilly.local/z',
  ]);
  const key = (name: string) => `original-image.k8s.osp.tech/${name}`;
  t.deepEqual(made.metadata.annotations, {
    [key('map')]: 'nginx',
    [key('line')]: 'ghcr.io/x/y:1',
    [key('pattern')]: 'pattern.io/a/b:1',
    [key('mirror')]: 'hub.example/x:1',
    [key('gilly')]: `gcr.io/x/y@sha256:${'a'.repeat(64)}`,
  });
});

test.serial(
  'init containers, sidecars, image volumes and ephemeral containers are rewritten; other fields stay',
  async (t) => {
    const wanted = podOf(
      'kinds',
      { a: 'ghcr.io/a' },
      {
        initContainers: [
          { name: 'init', image: 'ghcr.io/init' },
          { name: 'sidecar', image: 'ghcr.io/sidecar', restartPolicy: 'Always' },
        ],
        volumes: [{ name: 'data', image: { reference: 'ghcr.io/data:1', pullPolicy: 'IfNotPresent' } }],
        securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      },
    );
    const made = await world.create(podsOf('team'), wanted);
    t.deepEqual(
      made.spec.initContainers.map(({ image, restartPolicy }: Live) => [image, restartPolicy]),
      [
        ['swap.local/init', undefined],
        ['swap.local/sidecar', 'Always'],
      ],
    );
    t.deepEqual(made.spec.volumes[0], {
      name: 'data',
      image: { reference: 'swap.local/data:1', pullPolicy: 'IfNotPresent' },
    });
    t.deepEqual(made.spec.securityContext, { seccompProfile: { type: 'RuntimeDefault' } });
    t.is(made.metadata.annotations['original-volume-image.k8s.osp.tech/data'], 'ghcr.io/data:1');

    const path = `${podsOf('team')}/kinds/ephemeralcontainers`;
    const debug = (name: string) => ({ name, image: `ghcr.io/${name}`, targetContainerName: 'a' });
    const patch = { spec: { ephemeralContainers: [debug('debug')] } };
    const contentType = 'application/strategic-merge-patch+json';
    const once = await world.say('PATCH', path, patch, contentType);
    t.is(once.object.spec.ephemeralContainers[0].image, 'swap.local/debug', JSON.stringify(once.object));
    const twice = await world.say(
      'PATCH',
      path,
      { spec: { ephemeralContainers: [debug('again')] } },
      contentType,
    );
    t.deepEqual(twice.object.spec.ephemeralContainers.map(({ image }: Live) => image).sort(), [
      'swap.local/again',
      'swap.local/debug',
    ]);
  },
);

test.serial('a pod that runs is not touched by an update that changes no image', async (t) => {
  const path = `${podsOf('team')}/before`;
  await world.unregister();
  await eventually(async () => {
    const made = await world.create(podsOf('team'), podOf('probe', { a: 'ghcr.io/a' }), '?dryRun=All');
    if (imagesOf(made)[0] !== 'ghcr.io/a') throw new Error('still rewritten');
  });
  await world.create(podsOf('team'), podOf('before', { a: 'ghcr.io/a', b: 'ghcr.io/b' }));
  await register();
  await world.untilCalled('team', 'ghcr.io/probe');
  const contentType = 'application/strategic-merge-patch+json';
  const labelled = await world.say('PATCH', path, { metadata: { labels: { a: 'b' } } }, contentType);
  t.deepEqual(imagesOf(labelled.object), ['ghcr.io/a', 'ghcr.io/b']);
  const spec = { containers: [{ name: 'b', image: 'ghcr.io/b:2' }] };
  const changed = await world.say('PATCH', path, { spec }, contentType);
  t.deepEqual(imagesOf(changed.object).sort(), ['ghcr.io/a', 'swap.local/b:2']);
  t.deepEqual(changed.object.metadata.annotations, { 'original-image.k8s.osp.tech/b': 'ghcr.io/b:2' });
});

test.serial(
  'namespaces, objects, our own pods and those of controllers that compare images are left alone',
  async (t) => {
    const images = { a: 'ghcr.io/a' };
    const left = ['ghcr.io/a'];
    t.deepEqual(await world.imagesIn('out', images), left);
    t.deepEqual(await world.imagesIn('kube-system', images), left);
    t.deepEqual(
      await world.imagesIn('team', images, { labels: { 'k8s.twr.io/imageswap': 'disabled' } }),
      left,
    );
    const own = { 'app.kubernetes.io/managed-by': 'registry-mirror-operator' };
    t.deepEqual(await world.imagesIn('team', images, { labels: own }), left);
    const owner = (apiVersion: string, kind: string) => ({
      ownerReferences: [
        { apiVersion, kind, name: 'x', uid: '1f0d2a7d-0000-4000-8000-000000000000', controller: true },
      ],
    });
    t.deepEqual(await world.imagesIn('team', images, owner('postgresql.cnpg.io/v1', 'Cluster')), left);
    t.deepEqual(await world.imagesIn('team', images, owner('apps/v1', 'ReplicaSet')), ['swap.local/a']);
  },
);

test.serial('a dry run shows what would become of a pod, and makes none', async (t) => {
  const reviews = 'registry_mirror_webhook_reviews_total{path="rewrite",operation="CREATE",result="patched"}';
  const [before, dryBefore] = [
    await webhook.metric(reviews),
    await webhook.metric('registry_mirror_webhook_dry_runs_total'),
  ];
  t.deepEqual(await world.imagesIn('team', { a: 'ghcr.io/a' }), ['swap.local/a']);
  t.is((await world.say('GET', `${podsOf('team')}/p`)).status, 404);
  t.is(await webhook.metric(reviews), before);
  t.true((await webhook.metric('registry_mirror_webhook_dry_runs_total')) > dryBefore);
});

test.serial('who makes the pod is told that a rule could not be applied', async (t) => {
  const { status, object, warnings } = await world.say(
    'POST',
    podsOf('team'),
    podOf('warned', { a: 'bad.io/x' }),
  );
  t.is(status, 201);
  t.deepEqual(imagesOf(object), ['bad.io/x']);
  t.is(warnings.length, 1);
  t.regex(warnings[0] ?? '', /^bad\.io\/x stays: imageswap:3 bad\.io would make it "no_\.local\/x"/);
});

test.serial('a pod whose annotations are nearly too many is made all the same', async (t) => {
  const annotations = { large: 'x'.repeat(200 * 1024) };
  const made = await world.create(podsOf('team'), podOf('large', { a: 'ghcr.io/a' }, {}, { annotations }));
  t.deepEqual(imagesOf(made), ['swap.local/a']);
  t.deepEqual(Object.keys(made.metadata.annotations), ['large']);
});

test.serial('a v1beta1 review is answered as one', async (t) => {
  const { certificatePem: ca } = world.authority;
  const dispatcher = new Agent({ connect: { ca } });
  t.teardown(() => dispatcher.destroy());
  const review = {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1beta1',
    request: {
      uid: 'by-hand',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      namespace: 'gilly',
      operation: 'CREATE',
      object: podOf('p', { a: 'gcr.io/x' }),
    },
  };
  const { statusCode, body } = await request(`https://127.0.0.1:${webhook.port}/mutate`, {
    dispatcher,
    method: 'POST',
    body: JSON.stringify(review),
  });
  t.is(statusCode, 200);
  const answer = (await body.json()) as Live;
  t.is(answer.apiVersion, 'admission.k8s.io/v1beta1');
  t.like(answer.response, { uid: 'by-hand', allowed: true, patchType: 'JSONPatch' });
  t.is(JSON.parse(Buffer.from(answer.response.patch, 'base64').toString())[0].value, 'gilly.local/x');
});

test.serial('what was rewritten is in the log by name and rule, and nothing of the pods is', async (t) => {
  const spec = {
    containers: [{ name: 'a', image: 'ghcr.io/a', env: [{ name: 'KEY', value: 's3cr3t-V4lu3' }] }],
  };
  await world.create(podsOf('team'), { ...podOf('logged', {}), spec });
  await eventually(() => {
    if (!/"logged".*Rewrote images/.test(webhook.log())) throw new Error('not yet');
  });
  t.regex(webhook.log(), /imageswap:2 ghcr\.io/);
  t.false(webhook.log().includes('s3cr3t-V4lu3'));
});
